# `make run` starts the platform, `make test` proves it, `make check` reads the code.
.DEFAULT_GOAL := help
PY := .venv/bin/python
# A worker per core, each with servers of its own; a file stays with one worker.
WORKERS := 2
COVERAGE := $(PY) -m coverage run -m pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder
# What depends on the relational database runs a second time, on SQLite; it is one per process.
RELATIONAL_TESTS := tests/contract/test_accounts.py tests/contract/test_strategies.py \
	tests/services tests/stores/test_orm.py tests/stores/test_health_check.py \
	tests/verify/test_embedded.py
ROUNDS := 20
SEED := 1
# Not SECONDS, which some shells count themselves.
FAULT_SECONDS := 25
DAYS := 2000

.PHONY: help install install-test run test check bench faults example format translations clean-coverage

help: ## Show what can be typed
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

install: ## Install what `make run` needs
	@scripts/install.sh run

install-test: ## Install the test tools and test servers too
	@scripts/install.sh test

run: install ## Install what is missing and run the platform (PORT=8000 DATA_DIR=var VERBOSE=1)
	@exec $(PY) -m silverquant_site.embedded --with-parent

test: install-test clean-coverage ## Run the whole suite against real servers and print the coverage (WORKERS=2)
	@$(COVERAGE)
	@RELATIONAL=sqlite $(COVERAGE) $(RELATIONAL_TESTS)
	@$(PY) -m coverage combine --quiet
	@$(PY) -m coverage report

check: install-test ## Format, lint, types, layers, settings, migrations, translations
	@$(PY) -m ruff format --check --quiet .
	@$(PY) -m ruff check --quiet .
	@$(PY) -m mypy
	@.venv/bin/lint-imports
	@PLATFORM_ENV_FILES=no $(PY) manage.py check
	@$(PY) scripts/check_migrations.py
	@$(PY) scripts/check_translations.py
	@echo "make check: all is well"

bench: install-test ## Measure every backend beside the raw driver (minutes; pass ARGS="...")
	@$(PY) -m tests.bench $(ARGS)

faults: install-test ## Kill, freeze and empty servers under a workload (ROUNDS=20 SEED=1 FAULT_SECONDS=25 DAYS=2000)
	@$(PY) -m tests.faults --rounds $(ROUNDS) --seed $(SEED) --seconds $(FAULT_SECONDS) --days $(DAYS)
	@$(PY) -m tests.silverquant --seed $(SEED)

example: install ## Trade a month of the demo in seconds, live in the platform that runs (ARGS="--days 5")
	@PYTHONPATH=. $(PY) examples/month.py $(ARGS)

format: install-test ## Write the code in the house format
	@$(PY) -m ruff format .
	@$(PY) -m ruff check --fix .

translations: install-test ## Collect new strings and compile the translations
	@$(PY) scripts/check_translations.py --write

clean-coverage:
	@rm -f .coverage .coverage.*
