from contextlib import nullcontext
from io import StringIO
from unittest.mock import patch

from django.core.management import call_command
from django.db import connection
from django.test import TestCase

from helpdesk.demo.management.commands import generate_fake_data


def generate(**options):
    """Run the command for a few tickets, and what it leaves for after its commits; return what it says."""
    small = {"tickets": 40, "comments_per_ticket": 5, "customers": 6, "agents": 3, "seed": 7}
    stdout = StringIO()
    # VACUUM refuses to run inside the transaction of a test.
    settle = patch.object(generate_fake_data, "settle_tables") if connection.in_atomic_block else nullcontext()
    with settle, TestCase.captureOnCommitCallbacks(execute=True):
        call_command("generate_fake_data", **(small | options), stdout=stdout)
    return stdout.getvalue()
