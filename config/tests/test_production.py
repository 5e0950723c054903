"""What the settings of production make of cookies and of HTTPS, in a process of their own."""

import json
import os
import subprocess
import sys

import pytest

from compose.embedded.options import ROOT
from config.tests.variables import COMPLETE, PRODUCTION

SCRIPT = """
import json, re
import django
from django.conf import settings
# Names with a hash are made when the image is built.
settings.STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
django.setup()
from django.test import Client

through_the_proxy = {"Host": "helpdesk.example.com", "X-Forwarded-Proto": "https"}
client = Client(enforce_csrf_checks=True, headers=through_the_proxy)
page = client.get("/admin/login/")
token = re.search('name="csrfmiddlewaretoken" value="(.+?)"', page.text)[1]
posted = {
    origin: client.post("/admin/login/", {"csrfmiddlewaretoken": token}, headers={"Origin": origin}).status_code
    for origin in ("https://helpdesk.example.com", "https://evil.example.com")
}
plain = Client(headers={"Host": "helpdesk.example.com"}).get("/admin/login/")
print(json.dumps({
    "cookie": client.cookies["csrftoken"].output(header="").strip(),
    "hsts": page.headers["Strict-Transport-Security"],
    "posted": posted,
    "plain": [plain.status_code, plain.headers["Location"]],
    "metrics": Client(headers={"Host": f"{settings.ALLOWED_HOSTS[-1]}:8000"}).get("/metrics").status_code,
    "foreign host": Client(headers=through_the_proxy | {"Host": "evil.example.com"}).get("/").status_code,
}))
"""


def seen_with(variables):
    environment = {"PATH": os.environ["PATH"], "LOG_LEVEL": "CRITICAL"} | COMPLETE | PRODUCTION | variables
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


@pytest.fixture(scope="module")
def seen():
    return seen_with({})


def test_cookies_go_over_https_alone_and_scripts_cannot_read_them(seen):
    attributes = {part.partition("=")[0].strip().lower() for part in seen["cookie"].split(";")}

    assert {"secure", "httponly"} <= attributes
    assert "SameSite=Lax" in seen["cookie"]


def test_browsers_are_told_to_come_by_https_for_a_year(seen):
    assert seen["hsts"] == "max-age=31536000"
    assert seen["plain"] == [301, "https://helpdesk.example.com/admin/login/"]


def test_hsts_may_include_subdomains_and_preload():
    seen = seen_with({"DJANGO_HSTS_INCLUDE_SUBDOMAINS": "true", "DJANGO_HSTS_PRELOAD": "true"})

    assert seen["hsts"] == "max-age=31536000; includeSubDomains; preload"


def test_forms_are_taken_from_our_own_pages_alone(seen):
    assert seen["posted"] == {"https://helpdesk.example.com": 200, "https://evil.example.com": 403}


def test_a_host_that_is_not_listed_is_refused(seen):
    assert seen["foreign host"] == 400


def test_prometheus_scrapes_a_replica_by_its_own_address_without_https(seen):
    assert seen["metrics"] == 401
