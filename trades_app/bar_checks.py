"""What daily bars are checked for, by name; plain Python, for pages as well."""

from __future__ import annotations

from enum import StrEnum


class Severity(StrEnum):
    """An error cannot be true, a warning should be looked at, a remark is probably right."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Check(StrEnum):
    GAP = "gap"
    SUSPENDED = "suspended"
    MARKET_GAP = "market gap"
    THIN_DAY = "thin day"
    ENDED = "ended"
    CLOSED_DAY = "closed day"
    RANGE = "range"
    PRICE = "price"
    TURNOVER = "turnover"
    LOTS = "lots"
    AVERAGE = "average"
    JUMP = "jump"
    COPY = "copy"
    SOURCES = "sources"
    TWIN = "twin"
