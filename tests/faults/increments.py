"""Count thousands of simulated trading days over kills of programs and failovers of Redis."""

from __future__ import annotations

import random
import time
from datetime import date, timedelta

from storage_app.contract.types import PositionState
from tests import servers
from tests.faults.trader import Trader

BOOK = "55009728/days"
CODE = "600000.SH"
FIRST_DAY = date(2001, 1, 1)
TRADERS = 2
# Chances, per day.
KILLED_TRADER = 0.005
REOPENED = 0.005
FAILOVER = 0.02
RECOVERY_SECONDS = 20.0


def count_days(data_dir, days, seed):
    """Return what was wrong, a line each; each day is asked for by every trader."""
    chance = random.Random(f"days {seed}")
    traders = [Trader(data_dir) for _ in range(TRADERS)]
    traders[0].get("replace_positions", BOOK, {CODE: PositionState(CODE, 0, volume=100)})
    wrong = []
    for number in range(1, days + 1):
        day = FIRST_DAY + timedelta(days=number)
        misfortune(chance)
        answers = [ask(chance, traders, place, data_dir, day) for place in range(TRADERS)]
        wrong += judge(day, answers, number, traders[0].get("get_held_days", CODE, BOOK))
    servers.REDIS.start()
    wait_until_well(traders[0])
    for trader in traders:
        trader.__exit__()
    return wrong


def misfortune(chance):
    """Kill Redis, or start it again."""
    if chance.random() >= FAILOVER:
        return
    if servers.REDIS.is_ready():
        servers.REDIS.kill()
    else:
        servers.REDIS.start()
        # Some failovers are complete before the next one, some are not.
        time.sleep(chance.choice([0.0, 0.3, 2.5]))


def ask(chance, traders, place, data_dir, day):
    """Return True or False, None if the trader was killed and nobody knows."""
    trader = traders[place]
    luck = chance.random()
    if luck < KILLED_TRADER:
        trader.begin([("increment_held_days", (BOOK, day), {})])
        time.sleep(chance.uniform(0.0, 0.02))
        trader.kill()
        traders[place] = Trader(data_dir)
        return None
    if luck < KILLED_TRADER + REOPENED:
        trader.__exit__()
        traders[place] = trader = Trader(data_dir)
    answer = trader.call("increment_held_days", BOOK, day)
    return answer.error or answer.value


def judge(day, answers, number, held):
    refusals = [answer for answer in answers if isinstance(answer, str)]
    done = answers.count(True)
    if refusals:
        yield f"{day}: refused with {refusals}"
    elif done > 1:
        yield f"{day}: counted {done} times"
    elif not done and None not in answers:
        yield f"{day}: counted by nobody"
    if held != number and not (answers == [None] * TRADERS and held == number - 1):
        yield f"{day}: {held} days held, not {number}"


def wait_until_well(trader):
    deadline = time.monotonic() + RECOVERY_SECONDS
    while trader.get("health_check")["redis"] != "ok" and time.monotonic() < deadline:
        time.sleep(0.2)
