"""Trading programs that move positions and are killed.

    python -m tests.faults.position_writers DATA_DIR NAME

Each acknowledged fill is a line on the standard output. Fills buy one share each of a code of
the writer's own, so that the volume tells how many were applied.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.faults.writers import ROOT, open_store

BOOK = "55009728/race"


def start(data_dir, name, environment):
    command = [sys.executable, "-m", "tests.faults.position_writers", str(data_dir), name]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)


def code_of(name):
    return f"6000{int(name):02}.SH"


def main(data_dir, name):
    store = open_store(data_dir)
    from trades_app.market import clock

    code = code_of(name)
    for number in range(1_000_000):
        held = store.get_positions(BOOK).get(code)
        state = store.apply_fill(
            BOOK, code, "BUY", 1, "10.5", trade_id=f"{name}-{number}", timestamp=clock.now()
        )
        if held is not None and state.volume <= held.volume:
            sys.stdout.write(f"stale {held.volume} {state.volume}\n")
        store.raise_extremes(BOOK, {code: (10 + number / 1000, 10.0)})
        sys.stdout.write(f"{name} {number}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
