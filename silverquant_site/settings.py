"""Django settings; every value that may differ between machines comes through `env`."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import django_stubs_ext
from django.utils.translation import gettext_lazy as _

from silverquant_site import env
from silverquant_site.appearance import UNFOLD as UNFOLD

# Lets classes of Django be written with their type argument, as in ModelForm[Account].
django_stubs_ext.monkeypatch()

BASE_DIR = env.BASE_DIR
DATA_DIR = env.directory("DATA_DIR", BASE_DIR / "var")

# The only place of the server that the admin imports from.
IMPORT_ROOT = DATA_DIR / "import"

# What create_data_store() does when the caller says nothing.
DATA_STORE_MODE = env.store_mode()
ENABLE_DUAL_WRITE = env.flag("ENABLE_DUAL_WRITE", default=True)
ENABLE_AUTO_FALLBACK = env.flag("ENABLE_AUTO_FALLBACK", default=True)
CLAIM_BOOKS = env.flag("CLAIM_BOOKS", default=True)

# Receivers of alerts, as apprise writes them; each holds a secret.
ALERT_URLS = env.urls("ALERT_URLS")
LOG_LEVEL = env.text("LOG_LEVEL", "INFO")
# Whether each process also writes a file below DATA_DIR/log.
LOG_FILES = env.flag("LOG_FILES", default=True)

# Only the web process needs a key; wsgi.py asks for it by name.
SECRET_KEY = env.text("SECRET_KEY")
DEBUG = env.flag("DEBUG", default=False)
ALLOWED_HOSTS = env.names("ALLOWED_HOSTS", "127.0.0.1,localhost,[::1]")
CSRF_TRUSTED_ORIGINS = env.names("CSRF_TRUSTED_ORIGINS", "")

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",  # not its default, which puts its own site in place of ours
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "unfold.contrib.import_export",
    "silverquant_site.apps.SilverQuantAdminConfig",
    # Before Django's own, two of whose commands it makes leave an audit entry.
    "storage_app",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "clickhouse_backend",
    "django_celery_beat",
    "django_celery_results",
    "health_check",
    "import_export",
    "axes",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    "trades_app",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "silverquant_site.content_policy.ContentPolicyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
    "storage_app.admin.sign_in.SignInMiddleware",
    "storage_app.admin.database_outage.DatabaseOutageMiddleware",
]

ROOT_URLCONF = "silverquant_site.urls"
WSGI_APPLICATION = "silverquant_site.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        # Before the theme's templates, some of which ours replace.
        "DIRS": [BASE_DIR / "storage_app" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]


def _mysql() -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.mysql",
        "NAME": env.text("MYSQL_DATABASE"),
        "USER": env.text("MYSQL_USER"),
        "PASSWORD": env.text("MYSQL_PASSWORD"),
        "HOST": env.text("MYSQL_HOST"),
        "PORT": env.port("MYSQL_PORT", 3306),
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            "charset": "utf8mb4",
            "isolation_level": "read committed",
            "init_command": "SET sql_mode='STRICT_TRANS_TABLES'",
            "connect_timeout": 1,
            # A frozen server ends a query instead of holding its caller for ever.
            "read_timeout": 30,
            "write_timeout": 30,
        },
        "TEST": {"CHARSET": "utf8mb4", "COLLATION": "utf8mb4_unicode_ci"},
    }


def _sqlite(path: Path) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": path,
        "OPTIONS": {
            # IMMEDIATE takes the write lock at BEGIN, so two writers queue instead of failing.
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=FULL;",
        },
        # A file, since the tests' threads and processes share it.
        "TEST": {"NAME": str(path.with_name("test.sqlite3"))},
    }


MYSQL_GROUP = ("MYSQL_HOST", "MYSQL_USER", "MYSQL_PASSWORD", "MYSQL_DATABASE")

DATABASES = {
    "default": _mysql()
    if env.together(*MYSQL_GROUP)
    else _sqlite(DATA_DIR / "silverquant.sqlite3"),
    "clickhouse": {
        "ENGINE": "clickhouse_backend.backend",
        "NAME": env.text("CLICKHOUSE_DATABASE", "silverquant"),
        "USER": env.text("CLICKHOUSE_USER", "default"),
        "PASSWORD": env.text("CLICKHOUSE_PASSWORD"),
        "HOST": env.text("CLICKHOUSE_HOST", "127.0.0.1"),
        "PORT": env.port("CLICKHOUSE_PORT", 9000),
        "OPTIONS": {
            "connections_min": 1,
            "connections_max": 32,
            "connect_timeout": 0.5,
            "sync_request_timeout": 0.5,
            "send_receive_timeout": 30,
            "compression": "lz4",
        },
        "TEST": {"fake_transaction": True},
    },
}
DATABASE_ROUTERS = ["trades_app.router.ClickHouseRouter"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
CLICKHOUSE_ENABLE_UPDATE_ROWCOUNT = False
# Name of the cluster whose macros {shard} and {replica} the tables use; empty: one server.
CLICKHOUSE_CLUSTER = env.text("CLICKHOUSE_CLUSTER")

REDIS_HOST = env.text("REDIS_HOST", "127.0.0.1")
REDIS_PORT = env.port("REDIS_PORT", 6379)
REDIS_PASSWORD = env.text("REDIS_PASSWORD")
REDIS_DB = env.integer("REDIS_DB", 0, most=14)
CELERY_REDIS_DB = REDIS_DB + 1

CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    # Only a carrier of the raw connection: position state never goes through the cache API.
    "positions": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": f"redis://{REDIS_HOST}:{REDIS_PORT}/{REDIS_DB}",
        "OPTIONS": {
            "PASSWORD": REDIS_PASSWORD or None,
            "SOCKET_CONNECT_TIMEOUT": 0.5,
            "SOCKET_TIMEOUT": 0.5,
            # RESP2 answers are cheaper to decode than RESP3 maps.
            "CONNECTION_POOL_KWARGS": {"retry": None, "decode_responses": True, "protocol": 2},
        },
    },
}

AUTH_USER_MODEL = "storage_app.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}", "OPTIONS": options}
    for name, options in (
        ("UserAttributeSimilarityValidator", {}),
        ("MinimumLengthValidator", {"min_length": 10}),
        ("CommonPasswordValidator", {}),
        ("NumericPasswordValidator", {}),
    )
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
AXES_FAILURE_LIMIT = 5
AXES_LOCKOUT_PARAMETERS = ["username"]
AXES_RESET_ON_SUCCESS = True
AXES_VERBOSE = False
AXES_LOCKOUT_CALLABLE = "storage_app.admin.security.locked_page"
# The person is locked, from wherever they try; an administrator unlocks them.
SILENCED_SYSTEM_CHECKS = ["axes.W006"]

# What an authenticator app shows above the code.
OTP_TOTP_ISSUER = "SilverQuant"

SESSION_ENGINE = "storage_app.session_store"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SECURE = env.flag("HTTPS", default=False)
CSRF_COOKIE_SECURE = SESSION_COOKIE_SECURE
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# The theme's Alpine evaluates attributes and sets styles; nothing else is let in.
CONTENT_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'"
)

LANGUAGE_CODE = "zh-hans"
LANGUAGES = [("zh-hans", "简体中文"), ("en", "English")]
LOCALE_PATHS = [BASE_DIR / "storage_app" / "locale"]
FORMAT_MODULE_PATH = ["silverquant_site.formats"]
USE_I18N = True
USE_THOUSAND_SEPARATOR = True
USE_TZ = True
TIME_ZONE = "Asia/Shanghai"

STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "silverquant_site.chart_assets.ChartLibraryFinder",
]

_password = f":{quote(REDIS_PASSWORD, safe='')}@" if REDIS_PASSWORD else ""
CELERY_BROKER_URL = f"redis://{_password}{REDIS_HOST}:{REDIS_PORT}/{CELERY_REDIS_DB}"
# Longer than the longest task, or the broker would hand it out a second time.
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 12 * 3600}
CELERY_RESULT_BACKEND = "django-db"
CELERY_RESULT_EXTENDED = True
CELERY_TASK_TRACK_STARTED = True
CELERY_TASK_TIME_LIMIT = 6 * 3600
CELERY_TIMEZONE = TIME_ZONE
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# Beat answers a ping, as the worker does; the health check asks both.
CELERY_BEAT_ENABLE_REMOTE_CONTROL = True
DJANGO_CELERY_BEAT_TZ_AWARE = True

# For the platform's own programs; create_data_store() leaves the logging of a script alone.
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "plain": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"},
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
    # A red check is in the answer; its traceback on every poll would bury the rest.
    "loggers": {"health_check": {"level": "ERROR"}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
}
if LOG_FILES:
    LOGGING["handlers"]["file"] = {
        "()": "storage_app.log_files.ProcessLog",
        "directory": DATA_DIR / "log",
    }
    for _name in ("storage_app", "trades_app", "chdb_server"):
        LOGGING["loggers"][_name] = {"handlers": ["file"]}
    # How long calls take is for the files; on the console it would bury what commands say.
    LOGGING["loggers"]["storage_app.stores.slow"] = {"handlers": ["file"], "propagate": False}

SITE_TITLE = _("SilverQuant data platform")
