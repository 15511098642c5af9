"""Security codes: every spelling in, `600000.SH`, `000001.SZ` or `430047.BJ` out.

Number ranges: SSE "证券代码段分配指南", SZSE "证券代码区间", BSE 920 range (in use since 2024).
Old Beijing numbers (43, 83, 87) stay as they are: their 920 successors do not follow from the
digits alone, so no alias is guessed.
"""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal

_MARKETS = {
    **dict.fromkeys(("SH", "SHSE", "SSE", "XSHG", "SS"), "SH"),
    **dict.fromkeys(("SZ", "SZSE", "XSHE"), "SZ"),
    **dict.fromkeys(("BJ", "BJSE", "BSE", "XBSE"), "BJ"),
}
_NAMES = "|".join(sorted(_MARKETS, key=len, reverse=True))
_LEADING = re.compile(rf"({_NAMES})\.?(\d{{1,6}})")
_TRAILING = re.compile(rf"(\d{{1,6}})\.?({_NAMES})")
# `.--` is what strategies write for a market they do not know, `.0` what a spreadsheet leaves.
_BARE = re.compile(r"(\d{1,6})(?:\.--|\.0+)?")
_TDX = re.compile(r"([012])(\d{6})(?:\.0+)?")
_TDX_MARKETS = {"0": "SZ", "1": "SH", "2": "BJ"}

# What a number may be in each market; a suffix that contradicts its number is a mistake.
_LISTED = {
    "SH": re.compile(r"000(?!000)|01|02|1[0-3]|20[45]|5|6|7|88|900|99"),
    "SZ": re.compile(r"0(?!00000)|1|20|3"),
    "BJ": re.compile(r"4|8|92"),
}
# First match wins; a bare number that matches none, or is listed below, is refused.
_BARE_MARKETS = (
    ("SH", re.compile(r"60|68|5[0-8]|11|132|204|900|888880")),
    ("SZ", re.compile(r"00[1-4]|30|39|12|131|15|16|18|20[01]")),
    ("BJ", re.compile(r"43|82|83|87|88|89|92")),
)
_SHARED = re.compile(r"000")  # Shanghai indices and Shenzhen shares use the same numbers

_INDEX = re.compile(r"000\d{3}\.SH|99\d{4}\.SH|39\d{4}\.SZ|899\d{3}\.BJ")
_REPO = re.compile(r"20[45]\d{3}\.SH|1318\d{2}\.SZ")
_STANDARD_BOND = re.compile(r"888880\.SH|131990\.SZ")
_SUBSCRIPTION = re.compile(r"7\d{5}\.SH")
_B_SHARE = re.compile(r"900\d{3}\.SH|20[01]\d{3}\.SZ")
_FUND = re.compile(r"5\d{5}\.SH|1[568]\d{4}\.SZ")
_BOND = re.compile(r"(?:01|02|1[0-3])\d{4}\.SH|1[0-4]\d{4}\.SZ")
_STAR = re.compile(r"68\d{4}\.SH")


class InvalidCode(ValueError):
    pass


def parse_code(text: str | float) -> str:
    """Return the canonical code; InvalidCode names what was read and why it was refused.

    Missing leading zeros are put back (`1.SZ`, `2594`), since spreadsheets drop them; a bare
    number is accepted only if one market uses it.
    """
    spelling = _normalise(text)
    market, number = _split(spelling)
    number = _restore_zeros(number, text)
    if market is None:
        market = _only_market(number, text)
    if not _LISTED[market].match(number):
        raise InvalidCode(f"code {text!r}: {market} lists no number {number}")
    return f"{number}.{market}"


def _normalise(text: str | float) -> str:
    spelling = unicodedata.normalize("NFKC", str(text)).upper()
    return re.sub(r"[\s'\"=\ufeff\u200b]", "", spelling)


def _split(spelling: str) -> tuple[str | None, str]:
    if match := _LEADING.fullmatch(spelling):
        return _MARKETS[match[1]], match[2]
    if match := _TRAILING.fullmatch(spelling):
        return _MARKETS[match[2]], match[1]
    if match := _TDX.fullmatch(spelling):
        return _TDX_MARKETS[match[1]], match[2]
    if match := _BARE.fullmatch(spelling):
        return None, match[1]
    raise InvalidCode(f"code {spelling!r} is not like 600000.SH, 000001.SZ or 430047.BJ")


def _restore_zeros(number: str, text: str | float) -> str:
    if len(number) < 6 and number.startswith("0"):
        # A spreadsheet drops all leading zeros or none; `00700` is a Hong Kong number.
        raise InvalidCode(f"code {text!r} has {len(number)} digits instead of 6")
    return number.zfill(6)


def _only_market(number: str, text: str | float) -> str:
    if _SHARED.match(number):
        raise InvalidCode(
            f"code {text!r} is ambiguous: write {number}.SZ (share) or {number}.SH (index)"
        )
    for market, numbers in _BARE_MARKETS:
        if numbers.match(number):
            return market
    raise InvalidCode(f"code {text!r} needs its market: write {number}.SH, .SZ or .BJ")


def is_index(code: str) -> bool:
    return bool(_INDEX.fullmatch(code))


def is_fund(code: str) -> bool:
    return bool(_FUND.fullmatch(code))


def is_bond(code: str) -> bool:
    """Tell bonds, convertible ones included, from the rest; repos are not bonds here."""
    return bool(_BOND.fullmatch(code)) and not is_repo(code) and not _is_standard_bond(code)


def is_repo(code: str) -> bool:
    """逆回购: money lent for some days; it is never a position."""
    return bool(_REPO.fullmatch(code))


def is_b_share(code: str) -> bool:
    """B shares trade in US (SH) or Hong Kong dollars (SZ)."""
    return bool(_B_SHARE.fullmatch(code))


def _is_standard_bond(code: str) -> bool:
    return bool(_STANDARD_BOND.fullmatch(code))


def holdable(code: str) -> bool:
    """Tell whether the code can be a position: no index, repo, standard bond or subscription.

    B shares are left out too, because every sum of the platform is in yuan.
    """
    excluded = (_INDEX, _REPO, _STANDARD_BOND, _SUBSCRIPTION, _B_SHARE)
    return not any(pattern.fullmatch(code) for pattern in excluded)


def lot_size(code: str) -> int:
    """Return the smallest buy order: 100 shares, 200 on the STAR market, 10 bonds.

    SSE trading rules 2023, articles 3.3.8 (STAR) and bond trading rules 2022. Holdings may be
    smaller: bonus shares make odd lots.
    """
    if _STAR.fullmatch(code):
        return 200
    return 10 if is_bond(code) or is_repo(code) else 100


def tick_size(code: str) -> Decimal:
    """Return the price step in the currency of the code: 0.01 for shares, else 0.001."""
    if is_fund(code) or is_bond(code) or is_repo(code):
        return Decimal("0.001")
    # Shanghai B shares step by 0.001 US dollar, Shenzhen ones by 0.01 Hong Kong dollar.
    return Decimal("0.001") if is_b_share(code) and code.endswith(".SH") else Decimal("0.01")
