"""Scheduled jobs and their results, in the look of the other pages."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django_celery_beat.admin import ClockedScheduleAdmin as BaseClockedScheduleAdmin
from django_celery_beat.admin import CrontabScheduleAdmin as BaseCrontabScheduleAdmin
from django_celery_beat.admin import PeriodicTaskAdmin as BasePeriodicTaskAdmin
from django_celery_beat.admin import PeriodicTaskForm, TaskSelectWidget
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from django_celery_results.models import GroupResult, TaskResult
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateTimeFilter, TextFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from storage_app.admin import figures
from storage_app.admin.records import AuditedAdmin, ReadOnlyAdmin

for model in (
    ClockedSchedule,
    CrontabSchedule,
    GroupResult,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
    TaskResult,
):
    admin.site.unregister(model)


class JobTaskWidget(UnfoldAdminSelectWidget, TaskSelectWidget):
    pass


class JobForm(PeriodicTaskForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["task"].widget = UnfoldAdminTextInputWidget()
        self.fields["regtask"].widget = JobTaskWidget()


@admin.register(PeriodicTask)
class JobAdmin(AuditedAdmin, BasePeriodicTaskAdmin, ModelAdmin):
    form = JobForm
    # The package's own carries a script in the page, which the content policy forbids.
    change_form_template = "admin/change_form.html"
    list_display = ("name", "enabled", "scheduler", "last_run_at", "total_run_count")
    list_filter = ("enabled",)
    actions = None

    @display(description=_("the crontab in words"))
    def crontab_translation(self, job: PeriodicTask) -> str:
        return job.crontab.human_readable if job.crontab else figures.MISSING


@admin.register(IntervalSchedule)
class IntervalAdmin(AuditedAdmin, ModelAdmin):
    pass


@admin.register(CrontabSchedule)
class CrontabAdmin(AuditedAdmin, BaseCrontabScheduleAdmin, ModelAdmin):
    # A job that is changed in passing would leave no entry; it has a page of its own.
    inlines = ()


@admin.register(ClockedSchedule)
class ClockedAdmin(AuditedAdmin, BaseClockedScheduleAdmin, ModelAdmin):
    inlines = ()


class TaskNameFilter(TextFilter):
    title = TaskResult._meta.get_field("task_name").verbose_name
    parameter_name = "task"

    def queryset(self, request: HttpRequest, rows: Any) -> Any:
        return rows.filter(task_name__icontains=self.value()) if self.value() else rows


@admin.register(TaskResult)
class JobResultAdmin(ReadOnlyAdmin):
    list_display = ("date_done", "task_name", "periodic_task_name", "status", "worker")
    list_filter = (
        ("status", ChoicesDropdownFilter),
        TaskNameFilter,
        ("date_done", RangeDateTimeFilter),
    )
    list_filter_submit = True
    search_fields = ("task_id", "task_name")
    fields = (
        ("task_name", "periodic_task_name"),
        ("status", "worker"),
        ("date_created", "date_started", "date_done"),
        "task_args",
        "task_kwargs",
        "result",
        "traceback",
        "task_id",
    )
