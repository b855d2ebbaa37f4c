"""Settings: everything a deployment may change comes from the environment."""

import os
from hashlib import sha256
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from csp.constants import NONCE, NONE, SELF

ROOT = Path(__file__).resolve().parent.parent.parent
VAR = Path(os.environ.get("GANTRY_VAR", ROOT / "var"))


def flag(name: str, default: bool = False) -> bool:
    return os.environ.get(name, "1" if default else "0").lower() in {"1", "true", "yes", "on"}


def database_url() -> str:
    """DATABASE_URL, else the address that the embedded launcher wrote down when it started."""
    if url := os.environ.get("DATABASE_URL"):
        return url
    written = VAR / "database_url"
    return written.read_text().strip() if written.exists() else "postgresql://gantry@127.0.0.1:5432/gantry"


def database(url: str) -> dict[str, object]:
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": query.pop("host", parts.hostname or ""),
        "PORT": str(parts.port or ""),
        "CONN_MAX_AGE": None if flag("GANTRY_PERSISTENT_CONNECTIONS", True) else 0,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": query,
        "TEST": {"NAME": os.environ.get("GANTRY_TEST_DATABASE")},
    }


def derived(purpose: str) -> str:
    """A secret of its own for one purpose, from the installation's."""
    return sha256(f"{purpose} {SECRET_KEY}".encode()).hexdigest()


DEBUG = flag("GANTRY_DEBUG")
DEMONSTRATION = flag("GANTRY_DEMONSTRATION", True)
SECRET_KEY = os.environ.get("GANTRY_SECRET_KEY") or (
    (VAR / "secret_key").read_text().strip() if (VAR / "secret_key").exists() else "set-when-gantry-starts"
)
ALLOWED_HOSTS = os.environ.get("GANTRY_HOSTS", "localhost,127.0.0.1,[::1],testserver").split(",")
CSRF_TRUSTED_ORIGINS = [o for o in os.environ.get("GANTRY_ORIGINS", "").split(",") if o]

DATABASES = {"default": database(database_url())}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

ROOMS = [
    "ui",
    "audit",
    "estate",
    "accounts",
    "patients",
    "exchange",
    "pathways",
    "referrals",
    "booking",
    "correspondence",
    "radiopharmacy",
    "scheduling",
    "scanning",
    "reporting",
    "quality",
    "desk",
]
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "axes",
    "csp",
    "django_htmx",
    "pgtrigger",
    "pghistory",
    "procrastinate.contrib.django",
    *[f"gantry.apps.{room}" for room in ROOMS],
    "gantry.gateways",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "gantry.apps.accounts.middleware.ActingMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "gantry.config.urls"
WSGI_APPLICATION = "gantry.config.wsgi.application"

CONTEXT = [
    "django.template.context_processors.request",
    "django.contrib.auth.context_processors.auth",
    "django.contrib.messages.context_processors.messages",
    "gantry.apps.ui.context.page",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.jinja2.Jinja2",
        "APP_DIRS": True,
        "OPTIONS": {"environment": "gantry.apps.ui.jinja.environment", "context_processors": CONTEXT},
    },
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": CONTEXT},
    },
]

AUTH_USER_MODEL = "accounts.Person"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_ADAPTER = "gantry.apps.accounts.adapter.Adapter"
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
SOCIALACCOUNT_PROVIDERS = (
    {
        "openid_connect": {
            "OAUTH_PKCE_ENABLED": True,
            "APPS": [
                {
                    "provider_id": "oidc",
                    "name": os.environ.get("GANTRY_OIDC_NAME", "Organisation sign-in"),
                    "client_id": os.environ["GANTRY_OIDC_CLIENT_ID"],
                    "secret": os.environ.get("GANTRY_OIDC_SECRET", ""),
                    "settings": {"server_url": os.environ["GANTRY_OIDC_URL"]},
                }
            ],
        }
    }
    if os.environ.get("GANTRY_OIDC_CLIENT_ID")
    else {}
)
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = 0.25
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_VERBOSE = False

CSRF_FAILURE_VIEW = "gantry.apps.ui.views.stale_csrf"
AXES_LOCKOUT_TEMPLATE = "account/lockout.html"
SESSION_COOKIE_AGE = 12 * 60 * 60
SESSION_COOKIE_SECURE = flag("GANTRY_HTTPS")
CSRF_COOKIE_SECURE = flag("GANTRY_HTTPS")
SESSION_COOKIE_HTTPONLY = True
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF, NONCE],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "manifest-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}
MAX_UPLOAD_BYTES = 10 * 1024 * 1024
DATA_UPLOAD_MAX_MEMORY_SIZE = MAX_UPLOAD_BYTES
FILE_UPLOAD_MAX_MEMORY_SIZE = MAX_UPLOAD_BYTES
FILE_UPLOAD_HANDLERS = [
    "gantry.apps.ui.uploads.Bounded",
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
]

PROCRASTINATE_AUTODISCOVER_MODULE_NAME = "jobs"

LANGUAGE_CODE = "en-gb"
TIME_ZONE = "Europe/London"
USE_TZ = True
USE_I18N = False

STATIC_URL = "/static/"
STATIC_ROOT = VAR / "static"
STATICFILES_DIRS = [
    ("nhsuk", ROOT / "node_modules" / "nhsuk-frontend" / "dist" / "nhsuk"),
]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": os.environ.get("GANTRY_STATIC_STORAGE", "django.contrib.staticfiles.storage.StaticFilesStorage")
    },
}
WHITENOISE_USE_FINDERS = True
WHITENOISE_MAX_AGE = 3600

IMAGES_ROOT = Path(os.environ.get("GANTRY_IMAGES", VAR / "images"))
IMAGES_FSYNC = flag("GANTRY_IMAGES_FSYNC", True)
DICOM_AE_TITLE = os.environ.get("GANTRY_AE_TITLE", "GANTRY")
DICOM_PORT = int(os.environ.get("GANTRY_DICOM_PORT", "11112"))
BIND = os.environ.get("GANTRY_BIND", "127.0.0.1")
# Whose engine the MLLP line is, for messages that name no sender we know; empty refuses them.
MLLP_SENDER = os.environ.get("GANTRY_MLLP_SENDER", "")
MLLP_PORT = int(os.environ.get("GANTRY_MLLP_PORT", "2575"))

# Word to patients. A demonstration's notification service is emulated on this machine, and it writes to nobody else.
EMULATED_MESSAGES = f"http://127.0.0.1:{os.environ.get('GANTRY_EMULATED_MESSAGES_PORT', '8026')}"
MESSAGES_URL = os.environ.get("GANTRY_MESSAGES_URL", EMULATED_MESSAGES if DEMONSTRATION else "")
MESSAGES_SERVICE = os.environ.get("GANTRY_MESSAGES_SERVICE", "demonstration" if DEMONSTRATION else "")
MESSAGES_SECRET = os.environ.get("GANTRY_MESSAGES_SECRET") or (derived("messages") if DEMONSTRATION else "")
MESSAGES_TEMPLATES = {
    name: os.environ.get(f"GANTRY_MESSAGES_TEMPLATE_{name.upper()}", name)
    for name in ("sms", "email", "letter", "letter_large")
}
# What the service proves itself with when it posts a receipt; without one, or with a short one, none is let in.
MESSAGES_RECEIPT_TOKEN = os.environ.get("GANTRY_MESSAGES_RECEIPT_TOKEN") or (
    derived("receipts") if DEMONSTRATION else ""
)
# A mail server of our own for emails; without one the notification service sends them too.
MESSAGES_SMTP_HOST = os.environ.get("GANTRY_SMTP_HOST", "")
MESSAGES_SMTP_PORT = int(os.environ.get("GANTRY_SMTP_PORT", "587"))
MESSAGES_SMTP_USER = os.environ.get("GANTRY_SMTP_USER", "")
MESSAGES_SMTP_PASSWORD = os.environ.get("GANTRY_SMTP_PASSWORD", "")
MESSAGES_SMTP_TLS = flag("GANTRY_SMTP_TLS", True)
MESSAGES_FROM = os.environ.get("GANTRY_MESSAGES_FROM", "")

# Upward news between rooms: event kind -> dotted paths, called by `append` in the same transaction.
EXPECT = "gantry.apps.scanning.services.expecting.follow"
GANTRY_SUBSCRIBERS: dict[str, tuple[str, ...]] = {
    "appointment_booked": ("gantry.apps.booking.services.following.employer_sees", EXPECT),
    "appointment_moved": (EXPECT, "gantry.apps.correspondence.services.following.moved"),
    "appointment_cancelled": (EXPECT, "gantry.apps.correspondence.services.following.cancelled"),
    "patient_told": ("gantry.apps.correspondence.services.following.told",),
    "contact_attempted": ("gantry.apps.correspondence.services.following.heard",),
    "recovery_chosen": ("gantry.apps.scheduling.services.word.recovery_chosen",),
    "plan_published": ("gantry.apps.scheduling.services.word.plan_published",),
    "patient_died": ("gantry.apps.correspondence.services.following.died",),
    "site_changed": (EXPECT,),
    "patient_did_not_attend": (EXPECT,),
    "patient_not_brought": (EXPECT,),
    **dict.fromkeys(
        ["referral_withdrawn", "referral_rejected", "referral_redirected", "referral_closed"],
        ("gantry.apps.booking.services.following.referral_ended",),
    ),
    **dict.fromkeys(["clock_adjusted", "clock_stopped"], ("gantry.apps.referrals.services.clocks.on_clock_changed",)),
    **dict.fromkeys(["breach_recorded", "visit_abandoned"], ("gantry.apps.quality.services.open_incident",)),
    **dict.fromkeys(
        ["dose_injected", "residual_assayed", "step_corrected"], ("gantry.apps.scanning.services.dosing.follow",)
    ),
    "images_reconciled": ("gantry.apps.scanning.services.dosing.follow_match",),
    "images_withdrawn": ("gantry.apps.reporting.services.following.taken_back",),
    "images_checked": ("gantry.apps.scanning.services.images.follow_check",),
    "acquisition_completed": ("gantry.apps.reporting.services.following.scanned",),
    **dict.fromkeys(["report_verified", "report_amended"], ("gantry.apps.reporting.services.following.issued",)),
    "report_acted_on": ("gantry.apps.reporting.services.following.acted_on",),
}

# What measures read marks the kept results of its units, beside whoever else hears of it.
for _kind in (
    "acquisition_completed",
    "acquisition_discontinued",
    "appointment_cancelled",
    "appointment_moved",
    "cause_corrected",
    "dose_injected",
    "images_checked",
    "patient_told",
    "patient_turned_away",
    "referral_closed",
    "referral_received",
    "referral_redirected",
    "referral_refused",
    "referral_rejected",
    "referral_withdrawn",
    "report_entered_in_error",
    "report_verified",
    "scan_repeated",
    "visit_abandoned",
):
    GANTRY_SUBSCRIBERS[_kind] = (*GANTRY_SUBSCRIBERS.get(_kind, ()), "gantry.apps.quality.kept.mark")

# Which function sends the messages of each door. The rooms that queue them never import a gateway.
GANTRY_DOORS: dict[str, str] = {
    "dicom.images": "gantry.gateways.dicom.outgoing.send",
    "dicom.removal": "gantry.gateways.dicom.removal.look",
    "dicom.dose_report": "gantry.gateways.dicom.dose_outgoing.write",
    "hl7.report": "gantry.gateways.hl7.outgoing.send",
    "fhir.report": "gantry.gateways.fhir.outgoing.send",
    "messages": "gantry.gateways.messages.outgoing.send",
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "plain": {
            "()": "gantry.config.logs.PlacesOnly",
            "format": "{asctime} {levelname} {name} {message}",
            "style": "{",
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["stderr"], "level": os.environ.get("GANTRY_LOG_LEVEL", "INFO")},
    "loggers": {
        "pynetdicom": {"level": "ERROR"},
        "procrastinate": {"level": "WARNING"},
        "axes": {"level": "WARNING"},
        "fontTools": {"level": "WARNING"},
    },
}
