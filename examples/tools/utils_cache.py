"""What a strategy without the platform keeps: JSON and CSV files, read and written whole.

A stand-in of ours for the module of that name in a SilverQuant checkout, with the functions that
the platform replaces. It behaves as the files of strategies do, faults included.
"""

from __future__ import annotations

import csv
import json
from datetime import datetime
from pathlib import Path

DAY_COUNT = "day_count"
INC_DATE = "_inc_date"
HEADER = ["日期", "时间", "代码", "名称", "类型", "注释", "成交价", "成交量"]


def today():
    return datetime.now().strftime("%Y-%m-%d")  # noqa: DTZ005, the host's, as in SilverQuant


def load_json(path):
    place = Path(path)
    if not place.exists():
        place.write_text("{}")
        return {}
    return json.loads(place.read_text())


def save_json(path, var, ensure_ascii=True):
    Path(path).write_text(json.dumps(var, ensure_ascii=ensure_ascii, indent=4))


def del_key(lock, path, key):
    del_keys(lock, path, [key])


def del_keys(lock, path, keys):
    with lock:
        document = load_json(path)
        for key in keys:
            document.pop(key, None)
        save_json(path, document)


def del_held_day(lock, path, key):
    with lock:
        document = load_json(path)
        document.setdefault(key, {})[DAY_COUNT] = None
        save_json(path, document)
    return True


def new_held(held_operation_lock, path, codes):
    with held_operation_lock:
        document = load_json(path)
        for code in codes:
            document[code] = {DAY_COUNT: 0}
        save_json(path, document)


def all_held_inc(lock, path):
    with lock:
        document = load_json(path)
        if document.get(INC_DATE) == today():
            return False
        document[INC_DATE] = today()
        for entry in document.values():
            if isinstance(entry, dict) and entry.get(DAY_COUNT) is not None:
                entry[DAY_COUNT] += 1
        save_json(path, document)
    return True


def update_max_prices(
    lock,
    quotes,
    positions,
    curr_time,
    path_max_prices,
    path_min_prices,
    path_held_info,
    ignore_open_day=True,
):
    held = load_json(path_held_info)
    with lock:
        highest, lowest = load_json(path_max_prices), load_json(path_min_prices)
    if not ("09:30" <= curr_time <= "11:30" or "13:00" <= curr_time <= "14:57"):
        return highest, held
    before = dict(highest), dict(lowest)
    codes = [position.stock_code for position in positions]
    counted = [code for code in codes if code in held and code in quotes]
    for code in counted:
        if ignore_open_day and not held[code].get(DAY_COUNT):
            continue
        high, low = quotes[code]["high"], quotes[code]["low"]
        if code not in highest or highest[code] < high:
            highest[code] = round(high, 3)
        if code not in lowest or lowest[code] > low:
            lowest[code] = round(low, 3)
    for path, now, then in zip(
        (path_max_prices, path_min_prices), (highest, lowest), before, strict=True
    ):
        if now != then:
            with lock:
                save_json(path, now)
    return highest, held


def record_deal(lock, path, timestamp, code, name, order_type, remark, price, volume):
    moment = datetime.fromtimestamp(int(timestamp))  # noqa: DTZ006, as in SilverQuant
    with lock:
        is_new = not Path(path).exists()
        with Path(path).open("a", newline="") as stream:
            rows = csv.writer(stream)
            if is_new:
                rows.writerow(HEADER)
            row = [moment.date(), moment.time(), code, name, order_type, remark, price, volume]
            rows.writerow(row)
