"""Parameters of strategies: the classes of a `run_*.py`, or the JSON of a store beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from storage_app.contract import parameters
from storage_app.contract.errors import InvalidInput
from storage_app.legacy.scripts import Assignment, Script, read_script
from storage_app.legacy.text import LegacyFileError, Rejected, read_text

STRATEGIES_NAME = "strategies.json"
SCRIPTS = "run_*.py"
FIRST_VERSION = "1.0.0"
# `PoolConf`, `BuyConf`, `SellConf` and what others have added in their manner.
_CONF = re.compile(r"[A-Z]\w*Conf")
_NAME = "STRATEGY_NAME"
_TYPES = ("wencai", "remote", "technical")
_NOT_CODE = re.compile(r"[^a-z0-9_]+")


@dataclass(frozen=True, slots=True)
class LegacyStrategy:
    """A strategy with its parameters as JSON can hold them; `line` is where it stands."""

    name: str
    code: str
    type: str
    version: str = FIRST_VERSION
    description: str = ""
    params: dict[str, Any] = field(default_factory=dict)
    line: int = 1

    @property
    def count(self) -> int:
        """The number of parameters, those within a class counted one by one."""
        return sum(
            len(value) if _CONF.fullmatch(key) and isinstance(value, dict) else 1
            for key, value in self.params.items()
        )


@dataclass(frozen=True, slots=True)
class StrategyFile:
    strategies: list[LegacyStrategy] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)


def find_strategy_files(path: Path) -> list[Path]:
    """Return the file itself, or what a directory has; LegacyFileError when that is nothing."""
    if not path.is_dir():
        return [path]
    found = sorted(path.glob(SCRIPTS)) + sorted(path.glob(STRATEGIES_NAME))
    if not found:
        reason = f"there is no {SCRIPTS} and no {STRATEGIES_NAME} in this directory"
        raise LegacyFileError(path, 0, "", "", reason)
    return found


def read_strategies(path: Path) -> StrategyFile:
    """Read a script or a JSON file; LegacyFileError when it holds no strategy.

    A parameter that has no fixed value, or one that JSON cannot hold, is rejected with its line.
    """
    if path.suffix == ".json":
        return _read_json(path)
    return _read_script(path)


def _read_script(path: Path) -> StrategyFile:
    script = read_script(path)
    found = {name: own for name, own in script.classes.items() if _CONF.fullmatch(name)}
    if not found:
        reason = "there is no PoolConf, BuyConf or SellConf in this file"
        raise LegacyFileError(path, 0, "", "", reason)
    rejected: list[Rejected] = []
    params: dict[str, Any] = {}
    for name, own in found.items():
        params[name] = {one.name: value for one, value in _kept(script, name, own, rejected)}
    code = _NOT_CODE.sub("_", path.stem.removeprefix("run_").lower()).strip("_") or "strategy"
    strategy = LegacyStrategy(_strategy_name(script, code), code, _type(code), params=params)
    return StrategyFile([strategy], rejected)


def _kept(
    script: Script, owner: str, own: Mapping[str, Assignment], rejected: list[Rejected]
) -> Iterator[tuple[Assignment, Any]]:
    for one in own.values():
        column = f"{owner}.{one.name}"
        raw = script.line(one.line)
        if one.error:
            rejected.append(Rejected(one.line, column, "", one.error, raw))
            continue
        try:
            yield one, parameters.normalise({one.name: one.value}).params[one.name]
        except InvalidInput as exc:
            rejected.append(Rejected(one.line, column, "", str(exc), raw))


def _strategy_name(script: Script, code: str) -> str:
    one = script.names.get(_NAME)
    return one.value if one and isinstance(one.value, str) and one.value else code


def _type(code: str) -> str:
    return next((kind for kind in _TYPES if kind in code), "other")


def _read_json(path: Path) -> StrategyFile:
    text = read_text(path)
    try:
        content = json.loads(text)
    except json.JSONDecodeError as exc:
        reason = f"{exc.msg}: the file is damaged or cut off"
        raise LegacyFileError(path, exc.lineno, f"character {exc.colno}", "", reason) from exc
    except RecursionError as exc:
        raise LegacyFileError(path, 1, "", "", "too deeply nested") from exc
    found = StrategyFile()
    for code, entry in _json_entries(path, content):
        line = text.count("\n", 0, max(text.find(json.dumps(code, ensure_ascii=False)), 0)) + 1
        try:
            found.strategies.append(_json_strategy(code, entry, line))
        except InvalidInput as exc:
            raw = json.dumps({code: entry}, ensure_ascii=False)
            found.rejected.append(Rejected(line, code, "", str(exc), raw))
    return found


def _json_entries(path: Path, content: Any) -> list[tuple[str, Any]]:
    """Return code and entry of both forms: a list under `strategies`, or entries by code."""
    if isinstance(content, dict) and isinstance(content.get("strategies"), list):
        entries = content["strategies"]
        return [
            (str(entry.get("strategy_code", "")) if isinstance(entry, dict) else "", entry)
            for entry in entries
        ]
    if isinstance(content, dict):
        return [(code, entry) for code, entry in content.items() if not code.startswith("_")]
    raise LegacyFileError(path, 1, "", "", "neither a list of strategies nor strategies by code")


def _json_strategy(code: str, entry: Any, line: int) -> LegacyStrategy:
    if not isinstance(entry, dict):
        raise InvalidInput("a strategy must be an object")
    params = entry.get("parameters", entry.get("params", {}))
    if not isinstance(params, dict):
        raise InvalidInput("the parameters must be an object")
    return LegacyStrategy(
        name=str(entry.get("strategy_name") or code),
        code=code,
        type=str(entry.get("strategy_type") or _type(code)),
        version=str(entry.get("version") or FIRST_VERSION),
        description=str(entry.get("description") or ""),
        params=parameters.normalise(params).params,
        line=line,
    )
