from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "silverquant_site.settings")

app = Celery("silverquant")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
# Also in threads other than the one that imported this.
app.set_default()
