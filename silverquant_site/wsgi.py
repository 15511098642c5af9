from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

from silverquant_site import env

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "silverquant_site.settings")
env.required("SECRET_KEY", "the web process signs sessions with it")

application = get_wsgi_application()
