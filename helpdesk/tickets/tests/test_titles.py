"""A title is one line: what the schema says is what is taken."""

import re
import sys

import pytest
from rest_framework.exceptions import ValidationError

from helpdesk.core.text import ONE_LINE_PATTERN, VISIBLE_CHARACTER
from helpdesk.tickets.models import Comment, Ticket
from helpdesk.tickets.serializers import TitleField

CHARACTERS = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code <= 0xDFFF]
UNUSUAL = [char for char in CHARACTERS if not char.isprintable() and ord(char) < 0x3000]


def is_taken(title):
    try:
        TitleField().run_validation(title)
    except ValidationError:
        return False
    return True


def test_the_pattern_says_which_characters_may_stand_in_a_title():
    titles = [title for char in UNUSUAL for title in (char, f"a{char}b", f"{char}a", f"a{char}")]

    differing = [title for title in titles if is_taken(title) != bool(re.search(ONE_LINE_PATTERN, title))]

    # The pattern takes some rare text of which nothing can be seen.
    assert [title for title in differing if is_taken(title) or VISIBLE_CHARACTER.search(title)] == []


def test_no_character_that_breaks_a_line_is_within_a_title():
    breaking = [char for char in CHARACTERS if len(f"a{char}b".splitlines()) == 2]

    assert not [char for char in breaking if is_taken(f"a{char}b")]


@pytest.mark.django_db
@pytest.mark.parametrize("field", ["title", "description"])
@pytest.mark.parametrize("text", ["\u200b", "\u2060", " \u00ad\ufeff"])
def test_a_ticket_of_which_nothing_can_be_seen_is_refused(api, customer, field, text):
    response = api(customer).post("/api/tickets/", {"title": "T", "description": "D"} | {field: text})

    assert response.status_code == 400
    assert [(error["pointer"], error["code"]) for error in response.json()["errors"]] == [(f"#/{field}", "blank")]
    assert not Ticket.objects.exists()


@pytest.mark.django_db
def test_a_comment_of_which_nothing_can_be_seen_is_refused(api, customer, ticket):
    response = api(customer).post("/api/comments/", {"ticket": ticket.pk, "content": "\u200d"})

    assert response.status_code == 400
    assert not Comment.objects.exists()
