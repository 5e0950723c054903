from contextlib import nullcontext
from io import StringIO
from unittest.mock import patch

from django.core.management import call_command
from django.db import connection
from django.test import TestCase

from helpdesk.demo.management.commands import generate_fake_data


def generate(**options):
    """Run the command for a few tickets, with its after-commit callbacks; return its output."""
    small = {"tickets": 40, "comments_per_ticket": 5, "customers": 6, "agents": 3, "seed": 7}
    stdout = StringIO()
    # As at the commit that a test's transaction does not have.
    connection.check_constraints()
    # VACUUM cannot run inside the transaction of a test.
    vacuum = patch.object(generate_fake_data, "vacuum") if connection.in_atomic_block else nullcontext()
    with vacuum, TestCase.captureOnCommitCallbacks(execute=True):
        call_command("generate_fake_data", **(small | options), stdout=stdout)
    return stdout.getvalue()
