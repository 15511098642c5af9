from __future__ import annotations

from storage_app.models.access import AccountGrant, User
from storage_app.models.accounts import (
    Account,
    AccountSnapshot,
    AccountStatus,
    AccountStrategy,
    BindingStatus,
    Broker,
    Environment,
)
from storage_app.models.audit import AuditAction, AuditEntry
from storage_app.models.conflicts import ConflictResolution, TradeConflict
from storage_app.models.jobs import JobRun, JobStatus
from storage_app.models.reports import Report, ReportKind
from storage_app.models.strategies import ParamVersion, Strategy, StrategyStatus, StrategyType

__all__ = (
    "Account",
    "AccountGrant",
    "AccountSnapshot",
    "AccountStatus",
    "AccountStrategy",
    "AuditAction",
    "AuditEntry",
    "BindingStatus",
    "Broker",
    "ConflictResolution",
    "Environment",
    "JobRun",
    "JobStatus",
    "ParamVersion",
    "Report",
    "ReportKind",
    "Strategy",
    "StrategyStatus",
    "StrategyType",
    "TradeConflict",
    "User",
)
