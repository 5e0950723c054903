"""Content and headers of a ticket's e-mails, in both languages."""

import email.policy
from email import message_from_bytes
from html.parser import HTMLParser

import pytest

from helpdesk.emails.messages import build_message
from helpdesk.emails.models import Email
from helpdesk.tickets import actions
from helpdesk.tickets.actions import Origin
from helpdesk.tickets.models import EventSource, Priority
from helpdesk.users.tests.factories import UserFactory

pytestmark = pytest.mark.django_db

KINDS = ["ticket_created", "status_changed", "comment_added"]
LANGUAGES = ["en", "es"]
SAID = {
    ("ticket_created", "en"): ["Alice Carter opened a ticket.", "Priority", "High", "It only <b>blinks</b>."],
    ("ticket_created", "es"): ["Alice Carter ha abierto un ticket.", "Prioridad", "Alta", "It only <b>blinks</b>."],
    ("status_changed", "en"): ["Agatha changed the status of your ticket.", "Open", "In Progress"],
    ("status_changed", "es"): ["Agatha ha cambiado el estado de su ticket.", "Abierto", "En curso"],
    ("comment_added", "en"): ["Agatha commented:", "Try it & see.", "Two <i>lines</i>."],
    ("comment_added", "es"): ["Agatha ha comentado:", "Try it & see.", "Two <i>lines</i>."],
}
BUTTON = {"en": "View ticket", "es": "Ver ticket"}
UNSUBSCRIBE = {"en": "Unsubscribe", "es": "Cancelar la suscripción"}


class Reader(HTMLParser):
    """Collects the visible text, the links, and the tags."""

    def __init__(self, html):
        super().__init__()
        self.texts, self.links, self.tags, self.styled = [], [], set(), set()
        self.feed(html)
        self.text = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.add(tag)
        if "href" in attributes:
            self.links.append(attributes["href"])
        if "style" in attributes:
            self.styled.add(tag)

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture
def mailed(announce):
    """Return a function from kind and language to the ticket and the message as it is sent."""

    def message(kind, language, title="The printer <script>x</script> & ñ"):
        alice = UserFactory(username="alice", name="Alice Carter", language=language)
        agatha = UserFactory(username="agatha", name="Agatha", agent=True, language=language)
        by_alice, by_agatha = Origin(alice, EventSource.API), Origin(agatha, EventSource.API)
        description = "Hello,\nIt only <b>blinks</b>."
        ticket = actions.create_ticket(by_alice, title=title, description=description, priority=Priority.HIGH)
        actions.update_ticket(by_agatha, ticket.pk, changes={"status": "in_progress"})
        actions.add_comment(by_agatha, ticket.pk, content="Try it & see.\nTwo <i>lines</i>.")
        announce()
        sent = build_message(Email.objects.get(kind=kind), {})
        return ticket, message_from_bytes(sent.message().as_bytes(), policy=email.policy.default)

    return message


def parts(message):
    text, html = message.iter_parts()
    return text.get_content(), html.get_content()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_it_says_the_same_in_html_and_text(mailed, kind, language):
    ticket, message = mailed(kind, language)
    text, html = parts(message)
    page = Reader(html)

    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    for sentence in [*SAID[kind, language], ticket.title, BUTTON[language], UNSUBSCRIBE[language]]:
        assert sentence in text
        assert sentence in page.text
    assert f'<html lang="{language}">' in html


@pytest.mark.parametrize("kind", KINDS)
def test_user_input_is_text_and_never_markup(mailed, kind):
    _ticket, message = mailed(kind, "en")
    text, html = parts(message)

    assert not {"script", "b", "i", "img"} & Reader(html).tags
    assert "&lt;script&gt;" in html
    assert "&lt;" not in text
    assert "&amp;" not in text


@pytest.mark.parametrize("kind", KINDS)
def test_it_links_to_the_ticket_and_to_unsubscribe(mailed, settings, kind):
    settings.SITE_URL = "https://helpdesk.example.com"
    ticket, message = mailed(kind, "en")
    text, html = parts(message)

    to_ticket, to_unsubscribe = Reader(html).links

    assert to_ticket == f"https://helpdesk.example.com/tickets/{ticket.pk}"
    assert to_unsubscribe.startswith("https://helpdesk.example.com/emails/unsubscribe/")
    assert to_ticket in text
    assert to_unsubscribe in text
    assert message["List-Unsubscribe"].strip() == f"<{to_unsubscribe}>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_styles_are_inline_and_nothing_is_fetched(mailed):
    _ticket, message = mailed("comment_added", "en")
    _text, html = parts(message)
    page = Reader(html)

    assert page.styled >= {"body", "h1", "td", "a", "p"}
    assert "src=" not in html
    assert "<link" not in html


def test_a_tickets_mails_are_one_thread_and_each_has_an_id_of_its_own(mailed):
    ticket, message = mailed("comment_added", "en")
    others = [build_message(email, {}).message() for email in Email.objects.exclude(kind="comment_added")]

    thread = f"<ticket-{ticket.pk}@localhost>"
    assert {mail["References"] for mail in [message, *others]} == {thread}
    assert {mail["In-Reply-To"] for mail in [message, *others]} == {thread}
    assert len({mail["Message-ID"] for mail in [message, *others]}) == 3
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["From"] == "Helpdesk <helpdesk@localhost>"


def test_ten_thousand_characters_of_any_script_arrive(announce, agent, customer, ticket):
    content = "ñ中文💥\u202eعربى e\u0301" * 800
    actions.add_comment(Origin(agent, EventSource.API), ticket.pk, content=content)
    announce()

    message = build_message(Email.objects.get(), {}).message()
    text, html = parts(message_from_bytes(message.as_bytes(), policy=email.policy.default))

    assert content in text
    assert content in html
    assert max(len(line) for line in message.as_bytes().splitlines()) <= 998
