from __future__ import annotations

import argparse
import os
import sys

from django.core.exceptions import ImproperlyConfigured

from silverquant_site.embedded.errors import StartFailed


def main() -> None:
    parser = argparse.ArgumentParser(prog="make run", description="Run the platform.")
    parser.add_argument(
        "--with-parent", action="store_true", help="stop when the calling process ends"
    )
    parent = os.getppid() if parser.parse_args().with_parent else None
    # Secrets and trades are the owner's alone.
    os.umask(0o077)
    try:
        _run(parent)
    except (StartFailed, ImproperlyConfigured) as exc:
        sys.exit(f"make run: {exc}")


def _run(parent: int | None) -> None:
    # Here, since even reading the environment may fail with a line for the terminal.
    from silverquant_site import env
    from silverquant_site.embedded import lock, setup
    from silverquant_site.embedded.console import Console
    from silverquant_site.embedded.guard import Guard
    from silverquant_site.embedded.supervisor import Supervisor

    data_dir = env.data_directory().resolve()
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        held = lock.hold(data_dir / "platform.lock")
        chosen = setup.read_setup()
        setup.write_files(chosen)
        console = Console(data_dir / "log", is_verbose=chosen.is_verbose)
    except OSError as exc:
        raise StartFailed(f"DATA_DIR {data_dir}: {exc.strerror}") from exc
    Supervisor(chosen, console, Guard(held), parent).run()


if __name__ == "__main__":
    main()
