"""What the tests of imports share: how to run a command, and small directories."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

from django.core.management import CommandError, call_command

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "demo" / "silverquant"
ACCOUNT = "55009728"
CREATE = ("--create-account", "--environment", "paper", "--broker", "QMT")
HEADER = "日期,时间,代码,名称,类型,注释,成交价,成交量"
ROW = "2025-09-22,09:31:05,600000.SH,浦发银行,市买委托,买入委托,10.5,1000"
BAR_HEADER = "datetime,open,high,low,close,volume,amount"
BAR = "20250922,10,10.5,9.9,10.2,1000000,10200000"


def run(name, *arguments):
    """Run a command and return its JSON with the exit status and the complaints."""
    out, err = StringIO(), StringIO()
    status = 0
    try:
        call_command(name, *map(str, arguments), "--json", stdout=out, stderr=err)
    except CommandError as exc:
        status = exc.returncode
        err.write(str(exc))
    result = json.loads(out.getvalue()) if out.getvalue() else {"files": []}
    files = {Path(row["file"]).name: row for row in result["files"]}
    return result | {"status": status, "errors": err.getvalue(), "by_name": files}


def assert_adds_up(result):
    for row in result["files"]:
        assert row["read"] == row["new"] + row["same"] + row["rejected"], row
    for name in ("read", "new", "same", "rejected"):
        assert result["total"][name] == sum(row[name] for row in result["files"])


def write_orders(path, *rows, encoding="gbk", end="\r\n"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((f"{HEADER}{end}" + "".join(f"{row}{end}" for row in rows)).encode(encoding))
    return path


def write_bars(path, *rows, end="\n"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(f"{row}{end}" for row in (BAR_HEADER, *rows)).encode())
    return path
