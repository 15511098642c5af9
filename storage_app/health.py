"""What GET /health/ checks: every store, the data directory and every process."""

from __future__ import annotations

import asyncio
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from celery import current_app
from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from health_check.base import HealthCheck, HealthCheckResult
from health_check.exceptions import ServiceUnavailable
from health_check.views import HealthCheckView
from kombu.exceptions import OperationalError

from storage_app.backup import unfinished
from storage_app.stores.compose import open_platform_store
from storage_app.stores.condition import Condition, conditions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from storage_app.contract.roles import DataStore

# Each check answers within this, whatever hangs; the supervisor and monitors poll every second.
SECONDS = 0.9
PING_SECONDS = 0.5
LEAST_FREE_BYTES = 100_000_000

# Kept, because a probe that hangs would hold up the end of a request's own pool.
_probes = ThreadPoolExecutor(max_workers=8, thread_name_prefix="health")


@cache
def _store() -> DataStore:
    return open_platform_store()


@dataclass
class Probe(HealthCheck):
    """A check that runs in a thread and is given up after SECONDS."""

    name: str

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            await asyncio.wait_for(loop.run_in_executor(_probes, self.probe), SECONDS)
        except TimeoutError as exc:
            raise ServiceUnavailable("no answer in time") from exc

    def probe(self) -> None:
        raise NotImplementedError


@dataclass
class Component(Probe):
    """One component of the store's own health check, which pings all of them at once."""

    condition: Condition

    def probe(self) -> None:
        if self.condition.state != "ok":
            raise ServiceUnavailable(self.condition.state)


@dataclass
class DataDirectory(Probe):
    name: str = "data_dir"

    def probe(self) -> None:
        if not os.access(settings.DATA_DIR, os.W_OK):
            raise ServiceUnavailable("not writable")
        if shutil.disk_usage(settings.DATA_DIR).free < LEAST_FREE_BYTES:
            raise ServiceUnavailable("disk full")
        if unfinished.read(settings.DATA_DIR):
            raise ServiceUnavailable("a restore has not ended")


@dataclass
class CeleryProcess(Probe):
    """A worker, or beat, that answers a ping; beat keeps silent when its clock stands still."""

    pattern: str
    # Of the health check's own, since the application's connections wait for a broker forever.
    options: ClassVar[dict[str, Any]] = {
        "max_retries": 0,
        "socket_timeout": PING_SECONDS,
        "socket_connect_timeout": PING_SECONDS,
    }

    def probe(self) -> None:
        try:
            replies = self._ping()
        except (OperationalError, OSError) as exc:
            raise ServiceUnavailable("no broker") from exc
        if not replies:
            raise ServiceUnavailable("no answer in time")

    def _ping(self) -> list[Any]:
        with current_app.connection_for_write(transport_options=self.options) as connection:
            return list(
                current_app.control.ping(
                    connection=connection,
                    pattern=self.pattern,
                    matcher="glob",
                    limit=1,
                    timeout=PING_SECONDS,
                )
            )


class HealthView(HealthCheckView):
    """Answer in JSON, 200 when everything is well and 503 otherwise; never a secret."""

    def get_checks(self) -> Iterator[Probe]:
        for name, condition in conditions(_store(), settings.DATA_DIR).items():
            yield Component(name, condition)
        yield DataDirectory()
        yield CeleryProcess("worker", "worker@*")
        yield CeleryProcess("beat", "celerybeat@*")

    async def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        results = await asyncio.gather(*(check.get_result() for check in self.get_checks()))
        checks = {result.check.name: _describe(result) for result in results}
        states = {check["status"] for check in checks.values()}
        worst = next((state for state in ("down", "degraded") if state in states), "ok")
        body = {"status": worst, "checks": checks}
        return JsonResponse(body, status=200 if worst == "ok" else 503)


def _describe(result: HealthCheckResult) -> dict[str, Any]:
    """Return what anybody may know: reasons of outages, which name hosts, stay in the log."""
    if isinstance(result.check, Component):
        return result.check.condition.public
    if result.error is None:
        return {"status": "ok"}
    return {"status": "down", "reason": str(result.error.message)}
