"""Run many rounds: `python -m tests.faults --rounds 20 --seed 1 --seconds 30`."""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests import servers  # first, since it points the settings at private servers

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "silverquant_site.settings")

import django

django.setup()

from tests.faults import databases, increments, rounds, schedule  # noqa: E402
from tests.faults.scene import PARTS, Scene  # noqa: E402

logger = logging.getLogger("faults")


def arguments():
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1, help="of the first round")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each round lasts")
    parser.add_argument("--writers", type=int, default=2)
    parser.add_argument("--readers", type=int, default=1)
    parser.add_argument("--far-writers", type=int, default=1, help="on a second host")
    parser.add_argument("--far-readers", type=int, default=1)
    parser.add_argument("--day-seconds", type=float, default=4.0)
    parser.add_argument("--without", action="append", choices=PARTS, default=[])
    parser.add_argument(
        "--spare", action="append", choices=list(schedule.SERVER_FAULTS), default=[],
        help="a server that nothing happens to",
    )  # fmt: skip
    parser.add_argument("--days", type=int, default=0, help="count days of increments as well")
    parser.add_argument("--keep", action="store_true", help="keep what good rounds leave, too")
    return parser.parse_args()


def main(options):
    logging.basicConfig(level=logging.WARNING, format="%(message)s", force=True)
    logger.setLevel(logging.INFO)
    databases.make()
    base = Path(tempfile.mkdtemp(prefix="faults-"))
    failed = []
    try:
        for seed in range(options.seed, options.seed + options.rounds):
            outcome = run_round(options, seed, base)
            logger.info("%s", outcome)
            if outcome.wrong:
                failed.append(seed)
        if options.days and not count_days(options, base):
            failed.append("increments")
    finally:
        servers.stop_all()
    if failed:
        logger.info("failed: %s; what they left is in %s", failed, base)
    return 1 if failed else 0


def run_round(options, seed, base):
    scene = Scene(
        base / f"seed-{seed}", seed, options.seconds, options.writers, options.readers,
        options.far_writers, options.far_readers, options.day_seconds,
        tuple(part for part in PARTS if part not in options.without),
        databases.names(),
    )  # fmt: skip
    targets = [name for name in schedule.SERVER_FAULTS if name not in options.spare]
    databases.empty_redis()
    outcome = rounds.run(scene, targets)
    if not outcome.wrong and not options.keep:
        shutil.rmtree(scene.directory)
    return outcome


def count_days(options, base):
    databases.empty_redis()
    started = time.monotonic()
    wrong = increments.count_days(base / "days", options.days, options.seed)
    logger.info(
        "seed %s: %s days counted in %.0f s: %s", options.seed, options.days,
        time.monotonic() - started, "each once" if not wrong else "FAULTS",
    )  # fmt: skip
    for line in wrong:
        logger.info("    %s", line)
    return not wrong


if __name__ == "__main__":
    sys.exit(main(arguments()))
