"""A page holds the same rows whichever end it is read from."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from helpdesk.core.lists import window
from helpdesk.users.models import User
from helpdesk.users.tests.factories import UserFactory


@pytest.mark.django_db
@pytest.mark.parametrize("count", [0, 1, 3, 4, 7])
def test_windows_cut_a_list_into_consecutive_pages(count):
    UserFactory.create_batch(count)
    users = User.objects.order_by("date_joined", "id")

    pages = [set(window(users, offset=offset, size=3, count=count)) for offset in range(0, count, 3)]

    everybody = list(users)
    assert pages == [set(everybody[offset : offset + 3]) for offset in range(0, count, 3)]


@pytest.mark.django_db
def test_a_page_past_the_middle_is_read_from_the_end():
    UserFactory.create_batch(7)

    with CaptureQueriesContext(connection) as queries:
        list(window(User.objects.order_by("id"), offset=6, size=3, count=7))

    assert 'ORDER BY "users_user"."id" DESC LIMIT 1' in queries[0]["sql"]
