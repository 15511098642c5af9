#!/usr/bin/env python
"""Make `demo/silverquant` from a SilverQuant directory: `make_demo.py SOURCE [DEST]`.

Only files that the import knows are taken, byte for byte, and only if no row of them would be
rejected, so that the demo shows what a healthy directory looks like.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "silverquant_site.settings")

import django  # noqa: E402

from storage_app.legacy import (  # noqa: E402
    assets,
    bars,
    directory,
    holdings,
    orders,
    text,
    trading_days,
)

logger = logging.getLogger("make_demo")

README = """\
# Demo: a SilverQuant directory

What a strategy leaves behind, in the files it writes. `make run` imports it on the first start;
by hand it is

    python manage.py import_legacy demo/silverquant --account 55009728 --environment paper \\
        --create-account --broker QMT --demo

| files | content |
|---|---|
{rows}

## Where it comes from

- Daily bars: real prices and volumes (in shares) of five A-shares, 2011-07 to 2017-07, as their
  source published them and not re-based since. Amounts are approximated as volume × (high + low
  + close) / 3. Two bars of 2017-05-30, a holiday, are part of the published data and were left in.
- Trading days: the days on which the Shanghai and Shenzhen exchanges traded or will trade.
- Positions, price extremes, orders and net values: generated from the bars; no real account
  stands behind them. `prod_pwc` has today's form of the files, `test_pwc` an older one, and
  `assets.csv` repeats some dates, as restarts of a strategy make it do.

Made by `scripts/make_demo.py`; line ends and encodings are part of the data (`deal_hist.csv` is
GBK with CRLF), so `.gitattributes` keeps git from touching them.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("dest", type=Path, nargs="?", default=ROOT / "demo" / "silverquant")
    arguments = parser.parse_args()
    django.setup()  # for the language of the readers' notes
    logging.basicConfig(level=logging.INFO, format="%(message)s", force=True)
    try:
        make_demo(arguments.source, arguments.dest)
    except text.LegacyFileError as exc:
        sys.exit(str(exc))


def make_demo(source: Path, dest: Path) -> None:
    found = directory.explore(source)
    described = list(_describe(found))
    rows: list[str] = []
    for path, content in described:
        target = dest / path.relative_to(found.root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        rows.append(f"| `{path.relative_to(found.root).as_posix()}` | {content} |")
    (dest / "README.md").write_text(
        README.format(rows="\n".join(rows)), encoding="utf-8", newline="\n"
    )
    logger.info("%d files in %s", len(rows), dest)


def _describe(found: directory.LegacyDirectory) -> Iterator[tuple[Path, str]]:
    """Yield each file with its content in a few words; a file with a bad row is refused."""
    for path in found.calendars:
        listed = trading_days.read_trading_days(path)
        _refuse_rejects(path, listed.rejected)
        yield path, f"{len(listed.days):,} trading days, {listed.days[0]} to {listed.days[-1]}"
    for folder in found.books:
        yield from _describe_book(folder)
    for bar_folder in found.bars:
        for path in bar_folder.files:
            content = bars.read_bars(path)
            _refuse_rejects(path, content.rejected)
            yield path, f"{content.read:,} daily bars"


def _describe_book(folder: directory.BookFolder) -> Iterator[tuple[Path, str]]:
    if folder.holdings:
        held = holdings.read_holdings(folder.holdings)
        _refuse_rejects(folder.holdings, held.rejected)
        yield folder.holdings, f"{len(held.days)} codes, last increment {held.increment_date}"
    for path in (folder.max_prices, folder.min_prices):
        if path:
            extremes = holdings.read_extremes(path)
            _refuse_rejects(path, extremes.rejected)
            yield path, f"{len(extremes.prices)} prices"
    for path in folder.orders:
        log = orders.read_orders(path)
        _refuse_rejects(path, log.rejected)
        yield path, f"{len(log.orders)} orders"
    if folder.assets:
        values = assets.read_assets(folder.assets)
        _refuse_rejects(folder.assets, values.rejected)
        yield folder.assets, f"net values of {len(values.values)} days"


def _refuse_rejects(path: Path, rejected: list[text.Rejected]) -> None:
    for row in rejected:
        raise text.LegacyFileError(path, row.line, row.column, row.value, row.reason)


if __name__ == "__main__":
    main()
