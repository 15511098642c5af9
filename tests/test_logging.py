from __future__ import annotations

import logging
import os
import subprocess
import sys
import time

import pytest

from storage_app import log_files
from storage_app.log_files import ProcessLog, program_name
from tests.test_architecture import ROOT

OLD = log_files.KEPT_SECONDS + 86400


@pytest.fixture
def make(tmp_path):
    """Make handlers of one program, and close them in the end."""
    made = []

    def make(program="bot"):
        made.append(ProcessLog(tmp_path, program))
        return made[-1]

    yield make
    for handler in made:
        handler.close()


def write(handler, text):
    handler.handle(logging.LogRecord("storage_app", logging.INFO, "", 0, text, None, None))


def logs(directory):
    return sorted(path.name for path in directory.iterdir() if path.suffix != ".lock")


def environment(tmp_path, **variables):
    return (
        os.environ
        | {"DATA_DIR": str(tmp_path), "LOG_FILES": "yes", "LOG_LEVEL": "INFO"}
        | variables
    )


def run(tmp_path, script, *arguments, **variables):
    """Run a trading script named bot.py in a folder of its own."""
    path = tmp_path / "bot.py"
    path.write_text(script)
    return subprocess.run(
        [sys.executable, path, *arguments],
        cwd=tmp_path,
        env=environment(tmp_path, PYTHONPATH=str(ROOT), **variables),
        check=True,
        capture_output=True,
        text=True,
    )


def test_nothing_is_made_before_the_first_record(make, tmp_path):
    handler = make()
    assert logs(tmp_path) == []
    write(handler, "hello")
    assert logs(tmp_path) == ["bot.log"]
    assert (tmp_path / "bot.log").read_text().endswith("INFO storage_app: hello\n")


def test_a_full_file_makes_room_and_only_some_are_kept(make, tmp_path, monkeypatch):
    monkeypatch.setattr(log_files, "FILE_BYTES", 200)
    monkeypatch.setattr(log_files, "OLD_FILES", 2)
    handler = make()
    for number in range(20):
        write(handler, f"{number:050}")
    assert logs(tmp_path) == ["bot.log", "bot.log.1", "bot.log.2"]
    assert all((tmp_path / name).stat().st_size <= 200 for name in logs(tmp_path))
    assert f"{19:050}" in (tmp_path / "bot.log").read_text()


def test_those_that_run_side_by_side_have_files_of_their_own(make, tmp_path):
    first, second, third = make(), make(), make("other")
    for handler in (first, second, third):
        write(handler, "hello")
    assert logs(tmp_path) == ["bot-2.log", "bot.log", "other.log"]


def write_many(directory, serial):
    handler = ProcessLog(directory, "bot")
    for number in range(300):
        write(handler, f"<{serial} {number}>")
    handler.close()


def test_no_line_is_lost_or_torn_among_many_processes(children, tmp_path):
    outcomes = children.race(write_many, tmp_path, threads=2)
    assert {outcome.error for outcome in outcomes} == {""}
    lines = [line for name in logs(tmp_path) for line in (tmp_path / name).read_text().splitlines()]
    assert sorted(line.partition("<")[2] for line in lines) == sorted(
        f"{serial} {number}>" for serial in range(len(outcomes)) for number in range(300)
    )


def test_the_next_run_goes_on_where_the_last_one_ended(make, tmp_path):
    for text in ("first", "second"):
        handler = make()
        write(handler, text)
        handler.close()
    assert logs(tmp_path) == ["bot.log"]
    assert [line[-6:] for line in (tmp_path / "bot.log").read_text().splitlines()] == [
        " first",
        "second",
    ]


def test_a_closed_handler_that_is_used_again_opens_again(make, tmp_path):
    handler = make()
    handler.close()
    write(handler, "late")
    assert "late" in (tmp_path / "bot.log").read_text()


def test_a_file_that_nobody_may_rename_is_written_on(make, tmp_path, monkeypatch):
    monkeypatch.setattr(log_files, "FILE_BYTES", 200)
    monkeypatch.setattr(log_files.Path, "replace", _refuse)
    handler = make()
    for number in range(10):
        write(handler, f"{number:050}")
    assert logs(tmp_path) == ["bot.log"]
    assert len((tmp_path / "bot.log").read_text().splitlines()) == 10
    monkeypatch.undo()
    monkeypatch.setattr(handler, "_next_try", 0.0)
    write(handler, "free")
    assert logs(tmp_path) == ["bot.log", "bot.log.1"]
    assert len((tmp_path / "bot.log.1").read_text().splitlines()) == 10


def _refuse(self, target):
    raise PermissionError(f"{target} is open elsewhere")


def test_a_forked_child_writes_a_file_of_its_own(make, tmp_path):
    handler = make()
    write(handler, "parent")
    child = os.fork()
    if not child:
        write(handler, "child")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    write(handler, "parent again")
    assert "child" not in (tmp_path / "bot.log").read_text()
    assert len((tmp_path / "bot.log").read_text().splitlines()) == 2
    assert "child" in (tmp_path / "bot-2.log").read_text()
    # The child's end has not freed the parent's name.
    write(make(), "another")
    assert "another" in (tmp_path / "bot-2.log").read_text()


def test_old_files_of_programs_that_are_gone_are_removed(make, tmp_path):
    for name in ("gone", "kept", "running"):
        handler = make(name)
        write(handler, "hello")
        if name != "running":
            handler.close()
    (tmp_path / "gone.log.1").write_text("older")
    (tmp_path / "platform.log").write_text("of another program")
    then = time.time() - OLD
    for name in ("gone.log", "gone.log.1", "running.log", "platform.log"):
        os.utime(tmp_path / name, (then, then))
    write(make("next"), "hello")
    assert logs(tmp_path) == ["kept.log", "next.log", "platform.log", "running.log"]


def test_a_disk_that_takes_nothing_is_complained_of_once(make, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    handler = ProcessLog(tmp_path / "file" / "log", "bot")
    for _ in range(5):
        write(handler, "hello")
    assert capsys.readouterr().err.count("--- Logging error ---") == 1


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["/srv/bots/sell bot.py"], "sell-bot"),
        (["manage.py", "storage_health", "--json"], "storage_health"),
        (["manage.py"], "manage"),
        (["/x/celery/__main__.py", "-A", "silverquant_site.celery", "worker"], "worker"),
        (["/x/celery/__main__.py", "-A", "silverquant_site.celery", "beat"], "beat"),
        (["/x/gunicorn/__main__.py", "silverquant_site.wsgi"], "gunicorn"),
        (["卖出.py"], "卖出"),
        (["-c"], "python"),
        ([""], "python"),
        ([], "python"),
    ],
)
def test_a_file_is_named_after_its_program(monkeypatch, arguments, name):
    monkeypatch.setattr(sys, "argv", arguments)
    assert program_name() == name


OPEN = """
from storage_app import create_data_store
store = create_data_store("file")
"""
SPEAK = """
for name in ("storage_app.stores.test", "trades_app.test", "bot"):
    for level in (logging.INFO, logging.WARNING):
        logging.getLogger(name).log(level, "%s %s", name, logging.getLevelName(level))
"""


def messages(text):
    return [line.partition(": ")[2] for line in text.splitlines()]


def test_a_script_without_logging_sees_warnings_once_and_its_files_have_more(tmp_path):
    done = run(tmp_path, f"import logging{OPEN}{SPEAK}")
    assert done.stderr.splitlines() == [
        "storage_app.stores.test WARNING",
        "trades_app.test WARNING",
        "bot WARNING",
    ]
    assert done.stdout == ""
    assert messages((tmp_path / "log" / "bot.log").read_text()) == [
        "storage_app.stores.test INFO",
        "storage_app.stores.test WARNING",
        "trades_app.test INFO",
        "trades_app.test WARNING",
    ]


@pytest.mark.parametrize("is_early", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("level", ["INFO", "WARNING"])
def test_the_logging_of_a_script_stays_its_own(tmp_path, is_early, level):
    own = f"""
logging.basicConfig(filename="own.txt", filemode="w", format="%(message)s", level="{level}")
"""
    parts = (own, OPEN) if is_early else (OPEN, own)
    done = run(tmp_path, f"import logging{''.join(parts)}{SPEAK}")
    assert (done.stdout, done.stderr) == ("", "")
    expected = [
        f"{name} {word}"
        for name in ("storage_app.stores.test", "trades_app.test", "bot")
        for word in ("INFO", "WARNING")
        if word == "WARNING" or level == "INFO"
    ]
    assert (tmp_path / "own.txt").read_text().splitlines() == expected
    assert len(messages((tmp_path / "log" / "bot.log").read_text())) == 4


def test_files_can_be_switched_off_and_their_level_chosen(tmp_path):
    run(tmp_path, f"import logging{OPEN}{SPEAK}", LOG_FILES="no")
    assert not (tmp_path / "log").exists()
    run(tmp_path, f"import logging{OPEN}{SPEAK}", LOG_LEVEL="WARNING")
    assert len(messages((tmp_path / "log" / "bot.log").read_text())) == 2


def test_files_stand_beside_the_data_that_the_script_names(tmp_path):
    script = f"""
import logging
from storage_app import create_data_store
store = create_data_store("file", {{"data_dir": {str(tmp_path / "own")!r}}}){SPEAK}"""
    run(tmp_path, script)
    assert (tmp_path / "own" / "log" / "bot.log").exists()
    assert not (tmp_path / "log").exists()


def test_the_platform_logs_to_the_console_and_to_files_once_each(tmp_path):
    script = f"import logging, django; django.setup(){OPEN}{SPEAK}"
    settings = {"DJANGO_SETTINGS_MODULE": "silverquant_site.settings", "LOG_LEVEL": "INFO"}
    done = run(tmp_path, script, **settings)
    lines = messages(done.stderr)
    assert (len(lines), len(set(lines))) == (6, 6)
    assert len(messages((tmp_path / "log" / "bot.log").read_text())) == 4


def test_how_long_calls_take_is_for_the_files_of_the_platform(tmp_path):
    script = """
import logging, django
django.setup()
logging.getLogger("storage_app.stores.slow").info("get_positions took 9.9 ms")
"""
    settings = {"DJANGO_SETTINGS_MODULE": "silverquant_site.settings"}
    assert run(tmp_path, script, **settings).stderr == ""
    assert messages((tmp_path / "log" / "bot.log").read_text()) == ["get_positions took 9.9 ms"]
    assert "took" in run(tmp_path, script, LOG_FILES="no", **settings).stderr


CLOSED_PORT = "1"


def test_no_password_gets_into_a_log(tmp_path):
    secrets = {
        "REDIS_PASSWORD": "r3dis-s3cret",
        "MYSQL_PASSWORD": "mysql-s3cret",
        "CLICKHOUSE_PASSWORD": "click-s3cret",
        "ALERT_URLS": "json://user:alert-s3cret@127.0.0.1:1/alert-s3cret",
    }
    servers = {
        "REDIS_PORT": CLOSED_PORT,
        "CLICKHOUSE_PORT": CLOSED_PORT,
        "MYSQL_PORT": CLOSED_PORT,
        "MYSQL_HOST": "127.0.0.1",
        "MYSQL_USER": "app",
        "MYSQL_DATABASE": "silverquant",
    }
    script = """
from storage_app import alerts, create_data_store
from storage_app.contract.errors import Unavailable
store = create_data_store("hybrid")
for call in (lambda: store.get_positions("55009728"), store.list_accounts):
    try:
        call()
    except Unavailable:
        pass
store.health_check()
alerts.flush(60)
store.close()
"""
    done = run(tmp_path, script, LOG_LEVEL="DEBUG", **servers, **secrets)
    text = (tmp_path / "log" / "bot.log").read_text() + done.stderr + done.stdout
    assert "redis" in text
    assert "mysql" in text
    assert "An alert could not be delivered" in text
    assert "s3cret" not in text
