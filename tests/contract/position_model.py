"""A book of positions in the plainest Python, written from the contract and not from a store."""

from __future__ import annotations

from datetime import date

from storage_app.contract.types import BookState, PositionFlag, PositionState

FIELDS = ("held_days", "max_price", "min_price", "volume", "opened_on")


def _row(**known):
    return {**dict.fromkeys(FIELDS), "flag": "", **known}


class BookModel:
    def __init__(self):
        self.rows: dict[str, dict] = {}
        self.increment_date: date | None = None
        self.applied: set[tuple] = set()
        self.exists = False

    def state(self, code):
        row = self.rows.get(code)
        if row is None:
            return None
        return PositionState(code, **{**row, "flag": PositionFlag(row["flag"])})

    def book(self):
        return BookState(self.increment_date, {code: self.state(code) for code in self.rows})

    def update_held_days(self, code, days):
        self.exists = True
        row = self.rows.setdefault(code, _row())
        if row["held_days"] is None:
            row.update(volume=None, opened_on=None, flag="")
        row["held_days"] = days

    def delete_held_days(self, code):
        self.rows.pop(code, None)

    def increment(self, day):
        self.exists = True
        if self.increment_date is not None and day <= self.increment_date:
            return False
        self.increment_date = day
        for row in self.rows.values():
            opened_today = row["opened_on"] is not None and row["opened_on"] >= day
            if row["held_days"] is not None and not opened_today:
                row["held_days"] += 1
        return True

    def update_price(self, code, which, price):
        self.exists = True
        self.rows.setdefault(code, _row(flag="leftover"))[which] = price

    def raise_extremes(self, prices):
        for code, (high, low) in prices.items():
            row = self.rows.get(code)
            if row and row["held_days"] is not None:
                row["max_price"] = max(high, row["max_price"] or high)
                row["min_price"] = min(low, row["min_price"] or low)

    def open_positions(self, codes):
        new = []
        for code in codes:
            row = self.rows.get(code)
            if row is None or row["held_days"] is None:
                self._open(code, row)
                new.append(code)
        self.exists |= bool(new)
        return new

    def _open(self, code, row):
        row = row or _row()
        if row["flag"] == "leftover":
            row = _row()
        self.rows[code] = _row(held_days=0, volume=row["volume"] or None, flag=row["flag"])

    def replace(self, states, day):
        self.exists = True
        self.increment_date = day
        self.rows = {
            code: {name: getattr(state, name) for name in (*FIELDS, "flag")}
            for code, state in states.items()
        }

    def apply_fill(self, code, side, volume, trade_id, day, remaining):
        self.exists = True
        if (day, code, side, trade_id) not in self.applied:
            self.applied.add((day, code, side, trade_id))
            self._move(code, side, volume, day, remaining)
        return self.state(code)

    def _move(self, code, side, volume, day, remaining):
        if remaining == 0:
            self.rows.pop(code, None)
            return
        row = self.rows.setdefault(code, _row(volume=0))
        if row["flag"] == "leftover":
            row["volume"] = 0
        if side == "BUY" and row["held_days"] is None:
            before = row["volume"] or 0
            self._open(code, row)
            row = self.rows[code]
            row.update(volume=before, opened_on=day)
        if remaining is not None:
            row["volume"] = remaining
            row["flag"] = "unconfirmed" if row["held_days"] is None else ""
        elif side == "BUY":
            row["volume"] = None if row["volume"] is None else row["volume"] + volume
        else:
            self._sell(code, row, volume)

    def _sell(self, code, row, volume):
        if row["volume"] is None:
            row["flag"] = "unconfirmed"
        elif row["volume"] == volume:
            del self.rows[code]
        elif row["volume"] < volume:
            row.update(volume=0, flag="oversold")
        else:
            row["volume"] -= volume
