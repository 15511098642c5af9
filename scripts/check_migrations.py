"""Prove that no model change lacks its migration, with no database at hand.

`manage.py makemigrations --check` asks every database for its history first, and warns about
each that is down; what is compared here are the models and the migration files.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ["DJANGO_SETTINGS_MODULE"] = "silverquant_site.settings"
os.environ["PLATFORM_ENV_FILES"] = "no"

import django
from django.core.management import call_command
from django.db import connections

django.setup()
for connection in connections.all():
    # What Django takes for "there is no history to ask for".
    connection.settings_dict["ENGINE"] = "django.db.backends.dummy"
call_command("makemigrations", check_changes=True, dry_run=True, verbosity=1)
