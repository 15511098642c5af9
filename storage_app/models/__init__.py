from __future__ import annotations

from storage_app.models.access import AccountGrant, RolePolicy, SignInSession, User
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
from storage_app.models.strategies import (
    DecisionOutcome,
    ParamDecision,
    ParamVersion,
    Strategy,
    StrategyStatus,
    StrategyType,
)

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
    "DecisionOutcome",
    "Environment",
    "JobRun",
    "JobStatus",
    "ParamDecision",
    "ParamVersion",
    "Report",
    "ReportKind",
    "RolePolicy",
    "SignInSession",
    "Strategy",
    "StrategyStatus",
    "StrategyType",
    "TradeConflict",
    "User",
)
