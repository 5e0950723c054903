"""Input fields accept what their patterns in the schema say."""

import re
import sys

import pytest
from rest_framework.exceptions import ValidationError

from helpdesk.core.fields import IdField, OneLineField, StrictSerializer, TextField
from helpdesk.core.text import VISIBLE_CHARACTER, WHITE_SPACE

CHARACTERS = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code <= 0xDFFF]


def accepts(field, value):
    try:
        field.run_validation(value)
    except ValidationError:
        return False
    return True


def test_white_space_is_what_str_strip_removes():
    assert re.findall(f"[{WHITE_SPACE}]", "".join(CHARACTERS)) == [char for char in CHARACTERS if not char.strip()]


@pytest.mark.parametrize("options", [{}, {"allow_blank": True}, {"trim_whitespace": False}])
@pytest.mark.parametrize(
    "text", ["a", " a ", "a\nb\n", "a\0", "\0", "", " ", "\n\t", "\x1c\x85\u3000", "\ufeff", "\u200b"]
)
def test_a_pattern_says_which_texts_are_accepted(options, text):
    field = TextField(**options)

    is_long_enough = text or "allow_blank" in options
    assert accepts(field, text) == bool(is_long_enough and re.search(field.pattern, text))


INVISIBLE = ["\u200b", "\u2060", " \u00ad\ufeff ", "\a", "\u3164", "\u202e", "\U000e0041"]


@pytest.mark.parametrize("field", [TextField, OneLineField])
@pytest.mark.parametrize("text", INVISIBLE)
def test_text_without_a_visible_character_is_blank(field, text):
    with pytest.raises(ValidationError) as refused:
        field().run_validation(text)

    assert "blank" in refused.value.get_codes()
    assert accepts(field(), f"{text.strip()}a") is (field is TextField or text not in {"\a", "\u202e"})


@pytest.mark.parametrize("options", [{}, {"allow_blank": True}])
def test_the_patterns_of_one_line_say_which_texts_are_accepted(options):
    field = OneLineField(**options)
    unusual = [char for char in CHARACTERS if not char.isprintable() and ord(char) < 0x3000] + INVISIBLE
    texts = [text for char in unusual for text in (char, f"a{char}b", f"{char}a", f"a{char}", f" {char} ")]

    differing = [text for text in texts if accepts(field, text) != bool(re.search(field.pattern, text))]

    # The pattern takes some rare text of which nothing can be seen, and refuses nothing that the field takes.
    assert [text for text in differing if accepts(field, text) or VISIBLE_CHARACTER.search(text)] == []
    assert not any(f"a{char}b" in differing for char in unusual)


@pytest.mark.parametrize("char", "\n\r\0\a\x7f\x85\u2028\u202a\u202e\u2066\u2069")
def test_nothing_on_a_line_breaks_it_controls_it_or_reorders_what_follows(char):
    assert not accepts(OneLineField(), f"a{char}b")


@pytest.mark.parametrize("text", ["👩\u200d💻", "שלום \u200fabc", "a\u00adb", "❤\ufe0f"])
def test_what_joins_emojis_or_marks_a_direction_accepts(text):
    assert accepts(OneLineField(), text)


@pytest.mark.parametrize(
    ("text", "expected"), [("abcde", True), ("abcdef", False), ("abcd ", True), ("abcd  ", False)]
)
def test_the_length_is_that_before_trimming(text, expected):
    assert accepts(TextField(max_length=5), text) is expected


@pytest.mark.parametrize("value", [1, 12, "12", "007", 2**63 - 1, str(2**63 - 1)])
def test_an_id_is_an_integer_or_its_digits(value):
    assert IdField().run_validation(value) == int(value)


@pytest.mark.parametrize("value", [0, -1, 1.0, True, 2**63, "", " 1", "1.0", "\u0661", "1" * 20, None, [1], b"1"])
def test_nothing_else_is_an_id(value):
    assert not accepts(IdField(), value)


class Person(StrictSerializer):
    name = TextField()


def test_a_strict_object_has_no_other_fields():
    assert Person().run_validation({"name": "a"}) == {"name": "a"}
    with pytest.raises(ValidationError) as refused:
        Person().run_validation({"name": 1, "nmae": "a"})
    assert refused.value.get_codes() == {"name": ["invalid"], "nmae": ["unknown"]}
