"""A backup or a restore that stands still at a step, so that a test can kill it right there.

python -m tests.backup.stopping backup STEP
python -m tests.backup.stopping restore STEP DIRECTORY
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
REACHED = "reached"


def kill_at(step, *arguments):
    """Run the program until it has reached a step and kill it there, as `kill -9` does."""
    from django.db import connections

    names = {alias: connections[alias].settings_dict["NAME"] for alias in connections}
    environment = os.environ | {"CLICKHOUSE_DATABASE": names["clickhouse"]}
    if "mysql" in connections["default"].settings_dict["ENGINE"]:
        environment["MYSQL_DATABASE"] = names["default"]
    program = subprocess.Popen(
        [sys.executable, "-m", "tests.backup.stopping", arguments[0], step, *arguments[1:]],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        line = program.stdout.readline().strip()
        assert line == REACHED, line
        os.kill(program.pid, signal.SIGKILL)
    finally:
        program.kill()
        assert program.wait() == -signal.SIGKILL
        program.stdout.close()


def main(what, step, *directory):
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "silverquant_site.settings")
    import django

    django.setup()
    from django.conf import settings
    from django.utils import translation

    from storage_app.backup.making import back_up
    from storage_app.backup.restoring import restore
    from storage_app.contract.watching import Watch
    from storage_app.services.actors import Actor

    if "mysql" not in settings.DATABASES["default"]["ENGINE"]:
        settings.DATABASES["default"]["NAME"] = settings.DATABASES["default"]["TEST"]["NAME"]

    def stand_still(progress):
        if progress.step == step and progress.done * 2 >= (progress.total or 0):
            sys.stdout.write(f"{REACHED}\n")
            sys.stdout.flush()
            time.sleep(600)

    translation.activate("en")
    if what == "backup":
        back_up(settings.DATA_DIR, Actor("killed"), watch=Watch(stand_still))
    else:
        restore(Path(*directory), settings.DATA_DIR, Actor("killed"), watch=Watch(stand_still))


if __name__ == "__main__":
    main(*sys.argv[1:])
