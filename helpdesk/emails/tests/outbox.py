"""What tests ask of the outbox and its e-mails, and do to it."""

import re
from datetime import timedelta

from django.db.models.functions import Now

from helpdesk.emails.models import Attempt, Email


def outcome(email):
    email.refresh_from_db()
    return email.state, email.attempts, email.error


def attempts():
    return list(Attempt.objects.values_list("outcome", "error"))


def let_lease_end():
    Email.objects.update(lease_until=Now() - timedelta(seconds=1))


def token_in(letter):
    return re.search(r"https?://\S+/(?:verify-email|reset-password)#(\S+)", letter.body)[1]
