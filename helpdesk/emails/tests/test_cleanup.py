"""The deletion of old e-mails needs constant memory."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection
from django.db.models.functions import Now

from helpdesk.emails.models import Attempt, Email
from helpdesk.emails.tests.factories import EmailFactory
from helpdesk.testing import database_url

ROWS = 20_000
INSERT_EMAILS = """
    INSERT INTO emails_email (uuid, kind, address, language, subject, state, error, attempts, created_at, sent_at)
    SELECT gen_random_uuid(), 'password_reset', 'alice@example.com', 'en', repeat('s', 100), 'sent', '', 1,
        now() - interval '91 days', now()
    FROM generate_series(1, %s)
"""
INSERT_ATTEMPTS = """
    INSERT INTO emails_attempt (email_id, outcome, error)
    SELECT id, 'sent', '' FROM emails_email WHERE state = 'sent'
"""
# The greatest size is of this process alone: getrusage begins with that of the process that started it.
MEASURE = """
import re
from pathlib import Path

import django

django.setup()

from helpdesk.emails.actions import delete_old_emails
from helpdesk.emails.models import Email

def kilobytes():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

Email.objects.exists()
before = kilobytes()
deleted = delete_old_emails()
print(deleted, kilobytes() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
@pytest.mark.django_db(transaction=True)
def test_20_000_emails_are_deleted_in_constant_memory():
    pending = EmailFactory(created_at=Now() - timedelta(days=91))
    with connection.cursor() as cursor:
        cursor.execute(INSERT_EMAILS, [ROWS])
        cursor.execute(INSERT_ATTEMPTS)

    ended = subprocess.run(
        [sys.executable, "-c", MEASURE],
        cwd=settings.BASE_DIR,
        env={
            **os.environ,
            "DATABASE_URL": database_url(),
            "DJANGO_SETTINGS_MODULE": "config.settings.test",
        },
        capture_output=True,
        text=True,
        check=True,
    )

    deleted, kilobytes = map(int, ended.stdout.split())
    assert deleted == ROWS
    assert kilobytes < 8 * 1024
    assert list(Email.objects.all()) == [pending]
    assert not Attempt.objects.exists()
