from __future__ import annotations

import json
import logging
import multiprocessing
import os
import subprocess
import sys
import time

import pytest

from silverquant_site import env
from storage_app import alert_limits, alerts
from tests.processes import Children
from tests.receivers import Receiver
from tests.receivers import receiver as receiver
from tests.test_architecture import ROOT

KEY = "outage of the test"


def settle():
    assert alerts.flush(60)


def wait_for(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_message_tells_its_host_and_what_happened(receiver):
    alerts.send(KEY, "redis is down", "timed out")
    settle()
    (message,) = receiver.messages
    assert message["title"] == f"redis is down · {os.uname().nodename}"
    assert (message["message"], message["type"]) == ("timed out", "warning")


def test_the_caller_waits_for_nobody(receiver):
    receiver.delay = 1.0
    started = time.perf_counter()
    for number in range(20):
        alerts.send(f"{KEY} {number}", "one of many")
    assert time.perf_counter() - started < 0.5
    receiver.delay = 0.0
    settle()
    assert len(receiver.messages) == 20


def test_the_first_goes_out_at_once_and_one_more_after_a_while_tells_of_the_rest(
    receiver, monkeypatch
):
    monkeypatch.setattr(alert_limits, "QUIET_SECONDS", 1.0)
    for number in range(10):
        alerts.send(KEY, f"number {number}")
    settle()
    assert receiver.titles == ["number 0"]
    wait_for(lambda: len(receiver.messages) == 2)
    assert receiver.titles == ["number 0", "number 9"]
    assert "8 " in receiver.messages[1]["message"]
    time.sleep(1.2)
    assert len(receiver.messages) == 2


def test_keys_do_not_hold_each_other_back(receiver):
    alerts.send(KEY, "first")
    alerts.send(f"{KEY}, another", "second")
    settle()
    assert receiver.titles == ["first", "second"]


def test_what_lasts_is_told_once_and_its_end_once(receiver):
    for _ in range(5):
        alerts.send(KEY, "down", standing=True)
    for _ in range(5):
        alerts.recovered(KEY, "back")
    settle()
    assert receiver.titles == ["down", "back"]
    assert [message["type"] for message in receiver.messages] == ["warning", "success"]


def test_what_lasts_is_told_again_when_people_may_have_forgotten(receiver, monkeypatch):
    monkeypatch.setattr(alert_limits, "QUIET_SECONDS", 0.0)
    monkeypatch.setattr(alert_limits, "REMIND_SECONDS", 0.2)
    for pause in (0.0, 0.0, 0.3):
        time.sleep(pause)
        alerts.send(KEY, "down", standing=True)
        settle()
    assert receiver.titles == ["down", "down"]


def test_an_end_without_a_beginning_is_no_news(receiver):
    alerts.recovered(KEY, "back")
    settle()
    assert receiver.messages == []


def test_a_second_outage_that_is_over_soon_is_not_told(receiver, monkeypatch):
    monkeypatch.setattr(alert_limits, "QUIET_SECONDS", 0.5)
    for _ in range(3):
        alerts.send(KEY, "down", standing=True)
        alerts.recovered(KEY, "back")
    settle()
    time.sleep(0.8)
    assert receiver.titles == ["down", "back"]


def test_a_second_outage_that_lasts_is_told_when_the_time_has_come(receiver, monkeypatch):
    monkeypatch.setattr(alert_limits, "QUIET_SECONDS", 0.5)
    alerts.send(KEY, "down", standing=True)
    alerts.recovered(KEY, "back")
    alerts.send(KEY, "down again", standing=True)
    settle()
    wait_for(lambda: len(receiver.messages) == 3)
    alerts.recovered(KEY, "back again")
    settle()
    assert receiver.titles == ["down", "back", "down again", "back again"]


def test_nothing_happens_without_receivers(receiver, settings):
    settings.ALERT_URLS = []
    alerts.send(KEY, "down")
    alerts.recovered(KEY, "back")
    settle()
    assert (receiver.messages, alerts._sender) == ([], None)
    assert not (settings.DATA_DIR / "alerts").exists()


def test_a_receiver_that_is_gone_harms_nobody_and_its_secret_is_not_logged(receiver, caplog):
    receiver.stop()
    caplog.set_level(logging.DEBUG)
    alerts.send(KEY, "down")
    settle()
    assert [record.getMessage() for record in caplog.records if record.name == alerts.__name__] == [
        "An alert could not be delivered to JSON, URL 1 of ALERT_URLS: "
        "it was refused or nobody answered"
    ]
    assert receiver.secret not in caplog.text
    assert "urllib3" not in caplog.text


def test_a_message_that_reached_nobody_is_tried_again(receiver, monkeypatch):
    monkeypatch.setattr(alerts, "RETRY_SECONDS", 0.2)
    receiver.status = 500
    alerts.send(KEY, "down", standing=True)
    settle()
    assert receiver.messages == []
    receiver.status = 200
    wait_for(lambda: receiver.titles == ["down"])


def test_one_receiver_is_enough_and_every_receiver_is_asked(receiver, settings, caplog):
    other = Receiver()
    settings.ALERT_URLS = ["nonsense://x", "json://127.0.0.1:1/", receiver.url, other.url]
    alerts.send(KEY, "down")
    settle()
    assert receiver.titles == other.titles == ["down"]
    assert "URL 1 of ALERT_URLS is not one that apprise knows" in caplog.text
    other.stop()


def test_more_than_the_queue_holds_is_dropped_with_a_word(receiver, monkeypatch, caplog):
    monkeypatch.setattr(alerts, "WAITING", 2)
    receiver.delay = 0.3
    for number in range(6):
        alerts.send(f"{KEY} {number}", "one of many")
    settle()
    assert 2 <= len(receiver.messages) <= 4
    assert "one is lost" in caplog.text


def tell_down_and_back(url, serial):
    from django.conf import settings

    settings.ALERT_URLS = [url]
    alerts.send(KEY, "down", standing=True)
    alerts.flush(30)
    return alerts._sender is not None


def test_the_processes_of_a_host_tell_people_once(receiver, children: Children):
    outcomes = children.race(tell_down_and_back, receiver.url, threads=1)
    assert {outcome.value for outcome in outcomes} == {True}
    assert receiver.titles == ["down"]
    alerts.recovered(KEY, "back")
    settle()
    assert receiver.titles == ["down", "back"]


def test_a_directory_that_cannot_be_written_leaves_the_limits_to_each_process(receiver, settings):
    (settings.DATA_DIR / "alerts").write_text("a file where a directory should be")
    for _ in range(3):
        alerts.send(KEY, "down")
    settle()
    assert receiver.titles == ["down"]
    (settings.DATA_DIR / "alerts").unlink()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"x": 1}', '{"x": {"y": 1}}'])
def test_a_damaged_file_of_limits_is_begun_anew(receiver, settings, text):
    path = settings.DATA_DIR / "alerts" / "told.json"
    path.parent.mkdir()
    path.write_text(text)
    alerts.send(KEY, "down")
    settle()
    assert receiver.titles == ["down"]
    assert list(json.loads(path.read_text())) == [KEY]


def _send_in_child(url):
    tell_down_and_back(url, 0)


def test_a_forked_child_sends_by_itself(receiver):
    alerts.send("parent", "from the parent")
    settle()
    child = multiprocessing.get_context("fork").Process(target=_send_in_child, args=(receiver.url,))
    child.start()
    child.join(30)
    assert child.exitcode == 0
    assert receiver.titles == ["from the parent", "down"]


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("", []),
        (" , ", []),
        ("json://h/a,b", ["json://h/a,b"]),
        (
            "json://h/a, dingtalk://x@y/\nmailto://z",
            ["json://h/a", "dingtalk://x@y/", "mailto://z"],
        ),
        ("json://h/a,xml+s://i/?to=p,q xml://j", ["json://h/a", "xml+s://i/?to=p,q", "xml://j"]),
    ],
)
def test_urls_stand_between_commas_or_spaces_and_may_hold_commas(monkeypatch, text, urls):
    monkeypatch.setitem(os.environ, "ALERT_URLS", text)
    assert env.urls("ALERT_URLS") == urls


def test_a_store_does_without_apprise_until_there_is_something_to_tell(tmp_path):
    script = (
        "import sys; from storage_app import create_data_store; create_data_store('file'); "
        "heavy = {'apprise', 'requests', 'markdown'} & set(sys.modules); "
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    environment = os.environ | {"ALERT_URLS": "json://127.0.0.1:1", "DATA_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, check=False, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()


SCRIPT = """
import sys
from storage_app import alerts
alerts.send("too early", "nobody has settings yet")
from django.conf import settings
settings.ALERT_URLS
alerts.send("key", "without Django")
alerts.recovered("key", "back")
print("apprise" in sys.modules)
"""


def test_a_script_that_ends_at_once_still_tells(receiver, tmp_path):
    environment = os.environ | {
        "ALERT_URLS": f"json://127.0.0.1:1, {receiver.url}",
        "DATA_DIR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "silverquant_site.settings",
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=ROOT,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert receiver.titles == ["without Django", "back"]
    assert receiver.secret not in done.stderr
