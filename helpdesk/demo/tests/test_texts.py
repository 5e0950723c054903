"""What people write in the demo."""

import re

import pytest

from helpdesk.demo.texts import FOLDER, PERSONAL_SLOTS, SLOT, texts_in
from helpdesk.tickets.models import TITLE_LENGTH
from helpdesk.users.models import Language


@pytest.mark.parametrize("language", Language)
def test_there_is_enough_to_say(language):
    texts = texts_in(language)
    problems = [problem for topic in texts.topics for problem in topic.problems]
    questions = [problem.question for problem in problems] + [
        pair for topic in texts.topics for pair in topic.questions
    ]
    by_agents = [*texts.acknowledgements, *texts.second_solutions, *(progress for _nudge, progress in texts.reminders)]
    by_agents += [*(question for question, _answer in questions), *(problem.solution for problem in problems)]
    by_customers = [*texts.additions, *texts.thanks, *texts.relapses, *(nudge for nudge, _progress in texts.reminders)]
    by_customers += [answer for _question, answer in questions]

    assert len({problem.title for problem in problems}) >= 60
    assert len({problem.description for problem in problems}) >= 60
    assert len(set(by_agents)) >= 80
    assert len(set(by_customers)) >= 80


def test_both_languages_know_the_same_topics_and_slots():
    english, spanish = ({path.name for path in (FOLDER / language).iterdir()} for language in ("en", "es"))
    assert english == spanish
    assert texts_in(Language.ENGLISH).slots.keys() == texts_in(Language.SPANISH).slots.keys()


@pytest.mark.parametrize("language", Language)
def test_every_slot_is_known_and_stands_between_words(language):
    text = "\n".join(path.read_text() for path in (FOLDER / language).glob("*.txt"))

    assert set(SLOT.findall(text)) <= {*texts_in(language).slots, *PERSONAL_SLOTS}
    assert not re.search(r"\w\{|\}\w", text)


@pytest.mark.parametrize("language", Language)
def test_titles_are_one_line_of_bounded_length(language):
    texts = texts_in(language)
    longest = {slot: max((filling.text for filling in fillings), key=len) for slot, fillings in texts.slots.items()}

    for topic in texts.topics:
        for problem in topic.problems:
            assert len(problem.title.text.format_map(longest)) <= TITLE_LENGTH
            assert problem.title.text.isprintable()
