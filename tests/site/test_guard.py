from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from silverquant_site.embedded.guard import SCRIPT

STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
time.sleep(90)
"""
# Writes down when it was asked to end.
NOTING = """
import signal, sys, time, pathlib
def end(*_):
    time.sleep(0.3)
    pathlib.Path(sys.argv[1]).write_text(str(time.monotonic()))
    sys.exit()
signal.signal(signal.SIGTERM, end)
print("up", flush=True)
time.sleep(90)
"""


def start(*command):
    program = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    # Somebody must wait for the dead, or they count as alive.
    threading.Thread(target=program.wait, daemon=True).start()
    return program


def guard(seconds=5):
    return subprocess.Popen(["/bin/sh", SCRIPT, str(seconds)], stdin=subprocess.PIPE, text=True)


def test_applications_end_before_servers(tmp_path):
    notes = [tmp_path / name for name in ("application", "server")]
    programs = [start(sys.executable, "-c", NOTING, str(note)) for note in notes]
    for program in programs:
        program.stdout.readline()
    watching = guard()

    watching.communicate(f"{programs[0].pid} / {programs[1].pid}\n")

    assert [program.wait(60) for program in programs] == [0, 0]
    first, second = (float(note.read_text()) for note in notes)
    assert second - first >= 0.3


def test_only_the_last_list_counts():
    spared, ended = start("sleep", "90"), start("sleep", "90")

    guard().communicate(f"{spared.pid} / \n{ended.pid} / \n")

    assert ended.wait(60) < 0
    assert spared.poll() is None
    spared.kill()
    spared.wait()


def test_a_program_that_will_not_end_is_killed_in_time():
    program = start(sys.executable, "-c", STUBBORN)
    program.stdout.readline()
    started = time.monotonic()

    guard(seconds=1).communicate(f"{program.pid} / \n")

    assert program.wait(60) == -9
    assert 0.9 < time.monotonic() - started < 60


def test_nothing_to_stop_ends_at_once():
    watching = guard()

    watching.communicate("")

    assert watching.returncode == 0


def test_children_of_a_program_end_with_it():
    program = start("/bin/sh", "-c", "sleep 91 & echo $!; wait")
    child = int(program.stdout.readline())

    guard().communicate(f"{program.pid} / \n")

    program.wait(60)
    assert not is_running(child)


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
