"""The programs of a round: writers that trade until they are killed, readers that watch them.

    python -m tests.faults.programs writer NAME RUN SCENE.json
    python -m tests.faults.programs reader NAME RUN SCENE.json

A writer repeats what it was not told the outcome of, as a trading program does with the
callbacks of its broker, before it goes on. A reader knows from the logs what was acknowledged
before it asks, and whatever it is shown must hold that. It also counts what flickers: a write
that it was shown while nobody had been told that it is safe, and that was gone afterwards.
"""

from __future__ import annotations

import json
import logging
import signal
import sys
import time

from tests.faults import oplog, scene
from trades_app.market import clock

NAME = "浦发银行"
PRICE = "10.500"
VOLUME = 100
# With more rows a query is no prompt one, and may wait for the server.
MOST_ROWS = 5000
# The timeouts of two servers that fail in the middle of one call, on a busy machine.
LONGEST_SECONDS = 2.5
PAUSE = 0.02
# A fill is known again for seven trading days; whoever repeats it later has lost.
REPEATED_DAYS = 4
WEIGHTS = {
    "trades": {"trade": 6, "order": 2, "repeat": 1},
    "positions": {"fill": 4, "turn": 2, "tick": 8},
    "params": {"params": 1, "shared_params": 1},
    "capital": {"capital": 2},
}


class Writer:
    def __init__(self, name, run, here, store, unavailable):
        self.name, self.here, self.store = name, here, store
        self.unavailable = unavailable
        self.log = oplog.OpLog(here.logs, name, run)
        self.chance = here.chance(name, run)
        before = oplog.OpLogs(here.logs)
        before.follow()
        self.own = {one.number: one for one in before.operations.values() if one.writer == name}
        self.number = max(self.own, default=0)
        self.turns = sum(one.kind == "turn" for one in self.own.values())
        self.last_day = None
        parts = here.parts_of(name)
        kinds = {kind: weight for part in parts for kind, weight in WEIGHTS[part].items()}
        self.kinds, self.weights = list(kinds), list(kinds.values())
        self.doubts = [one for one in self.own.values() if is_in_doubt(one)]

    def work(self):
        while True:
            self.here.pin()
            self.settle_doubts()
            if "positions" in self.here.parts:
                self.age()
            getattr(self, self.chance.choices(self.kinds, self.weights)[0])()
            time.sleep(self.chance.uniform(0, PAUSE))

    def settle_doubts(self):
        """Repeat in order what nobody knows the outcome of, until there is no answer again."""
        while self.doubts:
            first = self.doubts[0]
            if not is_too_old(first) and is_in_doubt(self.call(first)):
                return
            del self.doubts[0]

    def age(self):
        today = clock.today()
        if today != self.last_day and self.do("increment", {"day": today.isoformat()}).is_done:
            self.last_day = today

    def trade(self):
        self.do("trade", self.trade_fields("buy_trade"))

    def order(self):
        self.do("order", self.trade_fields("buy_order"))

    def repeat(self):
        """Record again what was acknowledged, as a broker that calls twice makes a program do."""
        recent = [one for one in list(self.own.values())[-50:] if one.kind == "trade"]
        if recent:
            self.call(self.chance.choice(recent))

    def trade_fields(self, order_type):
        return {"order_type": order_type, "timestamp": clock.now().timestamp()}

    def fill(self):
        code = self.here.growing_code(self.name)
        self.do("fill", {"code": code, "side": "BUY", "timestamp": clock.now().timestamp()})

    def turn(self):
        if any(one.kind == "turn" for one in self.doubts):
            # A sell before its buy would be of nothing.
            return
        side = "SELL" if self.turns % 2 else "BUY"
        self.turns += 1
        code = self.here.turning_code(self.name)
        self.do("turn", {"code": code, "side": side, "timestamp": clock.now().timestamp()})

    def tick(self):
        self.do("tick", {"high": round(11 + (self.number + 1) / 1000, 3)})

    def params(self):
        self.do("params", {"strategy": self.here.strategy(self.name)})

    def shared_params(self):
        self.do("shared_params", {"strategy": self.here.shared_strategy})

    def capital(self):
        self.do("capital", {"account": self.here.own_account(self.name)})

    def do(self, kind, arguments):
        self.number += 1
        operation = self.log.intend(self.number, kind, arguments)
        self.own[self.number] = operation
        return self.call(operation)

    def call(self, operation):
        started = time.perf_counter()
        try:
            answer = CALLS[operation.kind](self, operation.number, **operation.arguments)
        except self.unavailable as exc:
            self.log.tell(operation, oplog.REFUSED, str(exc), started)
            if is_in_doubt(operation) and operation not in self.doubts:
                self.doubts.append(operation)
        except Exception as exc:
            logging.exception("%s", operation)
            self.log.tell(operation, oplog.BROKEN, f"{type(exc).__name__}: {exc}", started)
        else:
            self.log.tell(operation, oplog.DONE, answer, started)
        return operation


def is_in_doubt(operation):
    """Tell whether a program has to repeat the call, since it may repeat it."""
    return operation.kind in ("trade", "fill", "turn") and operation.outcome in (
        oplog.UNKNOWN,
        oplog.REFUSED,
    )


def is_too_old(operation):
    then = clock.parse_timestamp(operation.arguments["timestamp"]).date()
    from trades_app.market import calendar

    return calendar.count_trading_days(then, clock.today()) > REPEATED_DAYS


def call_trade(writer, number, order_type, timestamp):
    return writer.store.record_trade(
        writer.here.account, timestamp, writer.here.growing_code(writer.name), NAME, order_type,
        f"{writer.name} {number}", PRICE, VOLUME, "",
        trade_id=f"{writer.name}-{number}" if order_type == "buy_trade" else "",
    )  # fmt: skip


def call_fill(writer, number, code, side, timestamp):
    state = writer.store.apply_fill(
        writer.here.book, code, side, VOLUME, PRICE,
        trade_id=f"{writer.name}-{number}", timestamp=timestamp,
    )  # fmt: skip
    return None if state is None else state.volume


def call_tick(writer, _number, high):
    codes = [writer.here.growing_code(writer.name), *writer.here.bystanders]
    writer.store.raise_extremes(writer.here.book, dict.fromkeys(codes, (high, 9.0)))


def call_increment(writer, _number, day):
    assert day == clock.today().isoformat()
    return writer.store.all_held_inc(writer.here.book)


def call_params(writer, number, strategy):
    values = {"writer": writer.name, "number": number}
    return writer.store.save_strategy_params(strategy, values, f"{writer.name} {number}")


def call_capital(writer, number, account):
    writer.store.update_account_capital(account, number, 2 * number, number)


CALLS = {
    "trade": call_trade,
    "order": call_trade,
    "fill": call_fill,
    "turn": call_fill,
    "tick": call_tick,
    "increment": call_increment,
    "params": call_params,
    "shared_params": call_params,
    "capital": call_capital,
}


class Reader:
    """Look at everything again and again; a violation is a line of the reader's log."""

    def __init__(self, name, run, here, store, unavailable):
        self.name, self.here, self.store = name, here, store
        self.unavailable = unavailable
        self.logs = oplog.OpLogs(here.logs)
        self.chance = here.chance(name, run)
        # What must be seen at least, by fact: it is acknowledged.
        self.floors = {}
        # What was seen. A write that is shown before it is acknowledged may be gone once more.
        self.seen = {}
        self.path = here.logs / f"{name}.{run:03}.reads"
        self.reads = 0
        self.refused = 0
        self.is_told_to_end = False
        signal.signal(signal.SIGTERM, self.end)
        looks = {
            "trades": self.look_at_trades,
            "positions": self.look_at_positions,
            "params": self.look_at_params,
            "capital": self.look_at_capital,
        }
        self.looks = [looks[part] for part in here.parts_of(name)]

    def end(self, *_):
        self.is_told_to_end = True

    def work(self):
        with self.path.open("w") as self.out:
            while not self.is_told_to_end:
                look = self.chance.choice(self.looks)
                self.learn()
                started = time.perf_counter()
                self.here.pin()
                try:
                    look()
                except self.unavailable as exc:
                    self.tell({"refused": f"{look.__name__}: {exc}"})
                self.reads += 1
                if (seconds := time.perf_counter() - started) > LONGEST_SECONDS:
                    self.tell({"slow": f"{look.__name__} took {seconds:.2f} s"})
                time.sleep(self.chance.uniform(0, PAUSE))
            self.tell({"reads": self.reads})

    def tell(self, line):
        self.out.write(json.dumps({**line, "at": round(time.time() - self.here.origin, 3)}) + "\n")
        self.out.flush()

    def learn(self):
        for one in self.logs.follow():
            # What another host does is seen later, and while hosts are parted not at all.
            if one.is_done and self.here.is_far(one.writer) == self.here.is_far(self.name):
                for fact, value in facts_of(self.here, one, self.floors):
                    self.floors[fact] = max(value, self.floors.get(fact, value))

    def see(self, fact, value, *, of=""):
        floor, before = self.floors.get(fact), self.seen.get(fact)
        if floor is not None and (value is None or value < floor):
            self.tell({"stale": f"{fact}: {value}, acknowledged was {floor} {of}"})
        elif before is not None and (value is None or value < before):
            self.tell({"flicker": f"{fact}: {value} after {before} {of}"})
        self.seen[fact] = value

    def look_at_trades(self):
        code = self.here.growing_code(self.chance.choice(self.here.writer_names))
        rows = self.store.query_trades(self.here.account, code=code, limit=MOST_ROWS)
        uids = [row["trade_uid"] for row in rows]
        if len(uids) != len(set(uids)):
            self.tell({"stale": f"{len(uids) - len(set(uids))} trades of {code} are doubled"})
        self.see(f"trades of {code}", len(uids))

    def look_at_positions(self):
        positions = self.store.get_positions(self.here.book)
        for writer in self.here.all_writer_names:
            code = self.here.growing_code(writer)
            state = positions.get(code)
            self.see(f"volume of {code}", state and state.volume)
            self.see(f"max of {code}", state and state.max_price)
        for code in self.here.bystanders:
            state = positions.get(code)
            self.see(f"max of {code}", state and state.max_price)
            self.see("held days", state and state.held_days, of=code)

    def look_at_params(self):
        name = self.here.strategy(self.chance.choice(self.here.writer_names))
        versions = self.store.list_strategy_versions(name)
        self.see(f"versions of {name}", max((one["version"] for one in versions), default=0))
        values = self.store.get_strategy_params(name)
        self.see(f"params of {name}", values.get("number", 0))

    def look_at_capital(self):
        account = self.here.own_account(self.chance.choice(self.here.writer_names))
        values = self.store.get_account(account)
        self.see(f"capital of {account}", values and values["current_capital"])


def facts_of(here, one, floors):
    """Yield what an acknowledged operation makes sure of, as (fact, least value)."""
    code = here.growing_code(one.writer)
    if one.kind in ("trade", "order"):
        counted = floors.setdefault(("counted", code), set())
        counted.add(one.number)
        yield f"trades of {code}", min(len(counted), MOST_ROWS)
    elif one.kind == "fill":
        yield f"volume of {code}", one.answer
    elif one.kind == "tick":
        for held in [*here.bystanders, *([code] if f"volume of {code}" in floors else [])]:
            yield f"max of {held}", one.arguments["high"]
    elif one.kind == "increment" and one.answer:
        counted = floors.setdefault("increments", set())
        counted.add(one.arguments["day"])
        yield "held days", len(counted)
    elif one.kind == "params":
        yield f"versions of {here.strategy(one.writer)}", one.answer
        yield f"params of {here.strategy(one.writer)}", one.number
    elif one.kind == "capital":
        yield f"capital of {one.arguments['account']}", one.number


def main(role, name, run, path):
    here = scene.load(path)
    logging.basicConfig(
        level=logging.INFO, format=f"%(asctime)s {name} %(levelname)s %(name)s: %(message)s"
    )
    store = scene.open_store(here, name)
    from storage_app.contract.errors import Unavailable

    program = {"writer": Writer, "reader": Reader}[role]
    program(name, int(run), here, store, Unavailable).work()
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
