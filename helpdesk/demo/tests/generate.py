from io import StringIO

from django.core.management import call_command
from django.db import connection
from django.test import TestCase


def generate(**options):
    """Run the command for a few tickets, with its after-commit callbacks; return its output."""
    small = {"tickets": 40, "comments_per_ticket": 5, "customers": 6, "agents": 3, "seed": 7}
    stdout = StringIO()
    # As at the commit that a test's transaction does not have.
    connection.check_constraints()
    with TestCase.captureOnCommitCallbacks(execute=True):
        call_command("generate_fake_data", **(small | options), stdout=stdout)
    return stdout.getvalue()
