"""Production behind a TLS proxy: docker-compose.production.yml."""

from config.environment import check_key, env, fail, own_addresses, required
from config.settings.base import *

# Secrets
for name, keys in {"DJANGO_SECRET_KEY": [SECRET_KEY], "DJANGO_SECRET_KEY_FALLBACKS": SECRET_KEY_FALLBACKS}.items():
    for key in keys:
        check_key(name, key)

# Requests
if DEBUG:
    fail("DJANGO_DEBUG is true: its pages show settings and code to everybody.")
ALLOWED_HOSTS = env.list("DJANGO_ALLOWED_HOSTS", default=[])
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", default=1)
SITE_URL = required(
    "SITE_URL", meaning="the address of the helpdesk in the links of e-mails, https://helpdesk.example.com"
)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = env.bool("DJANGO_SECURE_SSL_REDIRECT", default=True)
SECURE_HSTS_SECONDS = 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.bool("DJANGO_HSTS_INCLUDE_SUBDOMAINS", default=False)
SECURE_HSTS_PRELOAD = env.bool("DJANGO_HSTS_PRELOAD", default=False)
# Both concern other hosts of the domain, so they are off by default.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True
CSRF_COOKIE_HTTPONLY = True
if not ALLOWED_HOSTS:
    fail("DJANGO_ALLOWED_HOSTS is not set: it lists the host names of the helpdesk.")
if "*" in ALLOWED_HOSTS:
    fail("DJANGO_ALLOWED_HOSTS is *: it lists each host name of the helpdesk.")
# Prometheus scrapes each replica by its address, without the proxy.
ALLOWED_HOSTS += own_addresses()
SECURE_REDIRECT_EXEMPT = ["^metrics$"]

# E-mail
EMAIL_HOST = required("EMAIL_HOST", meaning="the SMTP server that sends all e-mails")

# Static files
STATIC_ROOT = BASE_DIR / "staticfiles"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# Logs
LOGGING["handlers"]["console"]["formatter"] = "json"
