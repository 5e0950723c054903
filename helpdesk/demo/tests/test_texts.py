"""The texts of demo tickets."""

import re

import pytest

from helpdesk.demo.texts import FOLDER, PERSONAL_SLOTS, SLOT, texts_in
from helpdesk.tickets.models import TITLE_LENGTH
from helpdesk.users.models import Language


def test_both_languages_have_the_same_topics_and_slots():
    english, spanish = ({path.name for path in (FOLDER / language).iterdir()} for language in ("en", "es"))
    assert english == spanish
    assert texts_in(Language.ENGLISH).slots.keys() == texts_in(Language.SPANISH).slots.keys()


@pytest.mark.parametrize("language", Language)
def test_every_slot_has_values_and_stands_between_words(language):
    text = "\n".join(path.read_text() for path in (FOLDER / language).glob("*.txt"))

    assert set(SLOT.findall(text)) <= {*texts_in(language).slots, *PERSONAL_SLOTS}
    assert not re.search(r"\w\{|\}\w", text)


@pytest.mark.parametrize("language", Language)
def test_titles_are_one_line_of_bounded_length(language):
    texts = texts_in(language)
    longest = {slot: max((value.text for value in values), key=len) for slot, values in texts.slots.items()}

    for topic in texts.topics:
        for problem in topic.problems:
            assert len(problem.title.text.format_map(longest)) <= TITLE_LENGTH
            assert problem.title.text.isprintable()
