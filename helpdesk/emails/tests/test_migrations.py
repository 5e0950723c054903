"""Who had unsubscribed before there were media other than e-mail gets no more e-mails."""

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

# Some migrations make an index concurrently, which no transaction can.
pytestmark = pytest.mark.django_db(transaction=True)

BEFORE = ("emails", "0003_address_change")
AFTER = ("emails", "0004_move_unsubscriptions")


def migrated_to(target):
    """Return the models as they are after a migration."""
    executor = MigrationExecutor(connection)
    executor.migrate([target])
    return executor.loader.project_state(target).apps


@pytest.fixture(autouse=True)
def migrated_again():
    """Leave the database as other tests expect it."""
    yield
    call_command("migrate", verbosity=0)


def test_unsubscriptions_become_mutes_and_come_back(customer, agent):
    unsubscriptions = migrated_to(BEFORE).get_model("emails", "Unsubscription").objects
    unsubscriptions.create(user_id=customer.pk, kind="comment_added")
    unsubscriptions.create(user_id=agent.pk, kind="ticket_created")
    unsubscriptions.create(user_id=agent.pk, kind="title_changed")

    mutes = migrated_to(AFTER).get_model("tickets", "Mute").objects

    assert list(mutes.order_by("user_id").values_list("user_id", "kind", "medium")) == [
        (customer.pk, "comment_added", "email"),
        (agent.pk, "ticket_created", "email"),
    ]
    mutes.filter(user_id=agent.pk).update(medium="live")
    unsubscriptions = migrated_to(BEFORE).get_model("emails", "Unsubscription").objects
    assert list(unsubscriptions.values_list("user_id", "kind")) == [(customer.pk, "comment_added")]
    assert list(mutes.values_list("user_id", "medium")) == [(agent.pk, "live")]
