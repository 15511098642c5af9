"""The files a newcomer and an operator start from say what they should."""

from __future__ import annotations

import ast
import re
import subprocess

import pytest
import yaml

from silverquant_site import env
from tests.servers import ROOT

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
SERVERS = {"mysql": "mysql:8.", "redis": "redis:7.", "clickhouse": "clickhouse/clickhouse-server:"}
APPLICATIONS = {"web", "worker", "beat"}


def command_of(service):
    command = SERVICES[service].get("command", "")
    return command if isinstance(command, str) else " ".join(command)


def variables_of(service):
    return SERVICES[service].get("environment", {})


def test_compose_has_the_three_servers_and_the_three_processes():
    assert set(SERVICES) == {*SERVERS, *APPLICATIONS, "prepare"}


@pytest.mark.parametrize(("service", "image"), SERVERS.items())
def test_server_images_are_pinned(service, image):
    found = SERVICES[service]["image"]

    assert found.startswith(image)
    assert re.search(r":\d+\.\d+\.\d+", found), found


@pytest.mark.parametrize("service", [*SERVERS, *APPLICATIONS])
def test_every_lasting_service_has_a_health_check_and_comes_back(service):
    assert SERVICES[service]["healthcheck"]["test"]
    assert SERVICES[service]["restart"] == "unless-stopped"


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_runs_on_shanghai_time(service):
    assert variables_of(service)["TZ"] == "Asia/Shanghai"


@pytest.mark.parametrize("service", SERVICES)
def test_ports_are_open_to_this_machine_only(service):
    for port in SERVICES[service].get("ports", []):
        assert str(port).startswith("127.0.0.1:"), port


@pytest.mark.parametrize("service", SERVERS)
def test_servers_keep_their_data_in_named_volumes(service):
    volumes = [volume.split(":")[0] for volume in SERVICES[service]["volumes"]]

    assert volumes
    assert set(volumes) <= set(COMPOSE["volumes"])


def test_secrets_must_come_from_the_env_file():
    secrets = re.compile(r"PASSWORD|SECRET")
    for service in SERVICES:
        for name, value in variables_of(service).items():
            if secrets.search(name):
                assert re.fullmatch(r"\$\{[A-Z_]+:\?.+\}", value), (service, name)


def test_redis_keeps_everything_and_asks_for_a_password():
    command = command_of("redis")

    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command
    assert '--requirepass "$$REDIS_PASSWORD"' in command


def test_applications_wait_for_the_databases_to_be_set_up():
    assert "prepare_platform" in command_of("prepare")
    for service in SERVERS:
        assert SERVICES["prepare"]["depends_on"][service]["condition"] == "service_healthy"
    for service in APPLICATIONS:
        condition = SERVICES[service]["depends_on"]["prepare"]["condition"]
        assert condition == "service_completed_successfully"


def test_the_example_has_every_variable_that_compose_requires():
    required = set(re.findall(r"\$\{([A-Z_]+):\?", (ROOT / "docker-compose.yml").read_text()))
    example = (ROOT / ".env.example").read_text()

    assert required == set(re.findall(r"^([A-Z_]+)=$", example, re.MULTILINE))


def test_the_image_holds_no_checkout_and_runs_as_nobody_special():
    ignored = (ROOT / ".dockerignore").read_text().split()
    dockerfile = (ROOT / "Dockerfile").read_text()

    assert ignored[0] == "**"
    assert not {"!.env", "!var", "!.git"} & set(ignored)
    assert re.search(r"^USER (?!root)\w+$", dockerfile, re.MULTILINE)


READMES = ("README.md", "README.zh-CN.md")


def headings(name):
    text = re.sub(r"^```.*?^```", "", (ROOT / name).read_text(), flags=re.MULTILINE | re.DOTALL)
    return [len(marks) for marks in re.findall(r"^(#+) ", text, re.MULTILINE)]


def test_both_readmes_have_the_same_headings():
    assert headings("README.md") == headings("README.zh-CN.md")


def example_of(readme):
    """Return the code that a README shows to strategy developers."""
    return re.search(r"```python\n(.*?)```", (ROOT / readme).read_text(), re.DOTALL)[1]


def test_both_readmes_show_the_same_code():
    first, second = (ast.unparse(ast.parse(example_of(name))) for name in READMES)

    assert first == second


def table_of_variables(name):
    return re.findall(r"^\| `([A-Z_]+)` \|", (ROOT / name).read_text(), re.MULTILINE)


def test_both_readmes_list_every_variable_that_is_read():
    sources = [ROOT / "silverquant_site" / "settings.py", ROOT / "silverquant_site" / "wsgi.py"]
    sources += (ROOT / "silverquant_site" / "embedded").glob("*.py")
    sources.append(ROOT / "silverquant_site" / "env.py")
    reader = re.compile(
        r"\b(?:text|flag|integer|port|names|urls|directory|required|store_mode|is_given)"
        r'\(\s*"([A-Z][A-Z_]+)"'
    )
    read = {name for source in sources for name in reader.findall(source.read_text())}
    read |= {"DATA_STORE_MODE", *re.findall(r'"(MYSQL_[A-Z]+)"', sources[0].read_text())}

    listed = table_of_variables("README.md")

    assert read - {"PATH"} == set(listed)
    assert listed == table_of_variables("README.zh-CN.md")


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md", "docs/architecture.md"])
def test_links_of_the_documents_lead_somewhere(name):
    page = ROOT / name
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_make_knows_the_targets_that_the_documents_name():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    documents = ["README.md", "README.zh-CN.md", "CONTRIBUTING.md", "docs/runbook.md"]
    named = {
        target
        for document in documents
        for target in re.findall(r"`(?:\w+ )?make ([a-z-]+)\b", (ROOT / document).read_text())
    }

    assert {"run", "test", "check"} <= targets
    assert named <= targets


def test_ci_checks_and_tests():
    script = (ROOT / ".ci" / "run").read_text()

    assert "set -euo pipefail" in script
    assert script.index("make check") < script.index("make test")


def test_the_procfile_starts_what_the_supervisor_expects():
    names = re.findall(r"^(\w+): exec ", (ROOT / "Procfile").read_text(), re.MULTILINE)

    assert names == ["valkey", "clickhouse", "web", "worker", "beat"]


def test_the_installer_is_valid_and_refuses_an_unknown_purpose():
    done = subprocess.run([ROOT / "scripts" / "install.sh", "fly"], text=True, capture_output=True)

    assert done.returncode == 1
    assert done.stderr == "install: install.sh knows 'run' and 'test', not 'fly'\n"


def test_the_licence_is_apache():
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    assert env.BASE_DIR == ROOT
