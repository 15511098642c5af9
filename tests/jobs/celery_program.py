"""Celery on the databases of the tests: `python -m tests.jobs.celery_program worker …`."""

from __future__ import annotations

import os
import sys


def main():
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "silverquant_site.settings")
    from django.conf import settings

    database = settings.DATABASES["default"]
    if "mysql" not in database["ENGINE"]:
        database["NAME"] = database["TEST"]["NAME"]
    from silverquant_site.celery import app

    app.start(sys.argv[1:])


if __name__ == "__main__":
    main()
