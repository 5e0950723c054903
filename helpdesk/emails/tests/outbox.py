"""Helpers to read and change the outbox."""

from datetime import timedelta

from django.db.models.functions import Now

from helpdesk.emails import actions
from helpdesk.emails.models import Attempt, Email


def start(email):
    """Claim an e-mail and begin an attempt, as a worker does; return what the worker knows of it."""
    (claimed,) = actions.claim([email.pk])
    actions.start_attempt(claimed)
    return claimed


def outcome(email):
    email.refresh_from_db()
    return email.state, email.attempts, email.error


def attempts():
    return list(Attempt.objects.values_list("outcome", "error"))


def expire_leases():
    Email.objects.update(lease_until=Now() - timedelta(seconds=1))
