"""A title is one line: what the schema says is what is taken."""

import re
import sys

from rest_framework.exceptions import ValidationError

from helpdesk.tickets.serializers import ONE_LINE, TitleField

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

    assert [title for title in titles if is_taken(title) != bool(re.search(ONE_LINE, title))] == []


def test_no_character_that_breaks_a_line_is_within_a_title():
    breaking = [char for char in CHARACTERS if len(f"a{char}b".splitlines()) == 2]

    assert not [char for char in breaking if is_taken(f"a{char}b")]
