"""Tickets are found by words, parts of words and inflections, in any script, and by index."""

from itertools import islice, product
from string import ascii_lowercase

import pytest

from helpdesk.tickets import actions, search
from helpdesk.tickets.tests.factories import TicketFactory, by

pytestmark = pytest.mark.django_db

SHA = "3f786850e387550fdab836ed7e6dc881de99991b"
GERMAN = "Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz"
URL = "https://intranet.example.com/path/to?id=42&x=y#frag"
PATH = r"C:\Users\ana\AppData\Local\Temp\Stream_Autocomplete_0_AB12.dat"
UUIDS = "123e4567-e89b-12d3-a456-426614174000 9b2f0d3c-7f4e-4c0b-8b7e-1a2b3c4d5e6f x"
TRACE = 'File "/srv/app/helpdesk/views.py", line 42, in get_queryset: TypeError: unexpected keyword argument'
SENTENCE = "The printer on the third floor does not print since we moved to the new office last week"


@pytest.fixture
def found(api, agent):
    def titles(text):
        response = api(agent).get("/api/tickets/", {"search": text})
        assert response.status_code == 200, response.content
        return sorted(item["title"] for item in response.json()["results"])

    return titles


@pytest.mark.parametrize(
    "text",
    [
        "impresora",
        "IMPRESORA",
        "impresoras",
        "presor",
        "imprimir",
        "atencion",
        "atención",
        "ATENCIÓN canción",
        "Cancion",
        "canciones",
        "pi",
        "piso 3",
        "wi-fi",
        "error-0x80070057",
        "0x8007",
        "ana@example.com",
        "ñandú",
        "nandu",
    ],
)
def test_a_spanish_ticket_is_found(found, text):
    TicketFactory(
        title="La impresora del piso 3 no quiere imprimir",
        description="¡Atención! Suena una canción, sin Wi-Fi: error-0x80070057. Escribid a ana@example.com, ñandú.",
    )
    TicketFactory(title="Otra cosa", description="Nada que ver")

    assert found(text) == ["La impresora del piso 3 no quiere imprimir"]


@pytest.mark.parametrize("text", ["printer", "Printers", "printing", "rint", "jam paper", "café", "CAFE"])
def test_an_english_ticket_is_found(found, text):
    TicketFactory(title="Printer jams", description="Paper stuck since printing the café menu")
    TicketFactory(title="Screen", description="Black")

    assert found(text) == ["Printer jams"]


@pytest.mark.parametrize("text", ["printer scanner", "plotter", "!!!", "%", "_", "' OR 1=1 --", "\\", "&|!()<->:*"])
def test_words_that_no_ticket_contains_find_nothing(found, text):
    TicketFactory(title="Printer jams")

    assert found(text) == []


def test_words_are_found_in_the_title_the_description_and_the_comments(found, agent):
    ticket = TicketFactory(title="Printer", description="It smokes")
    actions.add_comment(by(agent), ticket.pk, content="Extinguisher sent")

    assert found("printer smoke extinguisher") == ["Printer"]


def test_a_changed_title_is_found_by_its_new_words_only(found, agent):
    ticket = TicketFactory(title="Zebra", description="D")

    actions.update_ticket(by(agent), ticket.pk, changes={"title": "Giraffe"})

    assert found("giraffe") == ["Giraffe"]
    assert found("zebra") == []


def test_a_number_sign_finds_the_ticket_with_that_number(found):
    wanted = TicketFactory(title="Wanted", description="D")
    TicketFactory(title="Other", description=f"see {wanted.pk}")

    assert found(f"#{wanted.pk}") == ["Wanted"]
    assert found(f" #{wanted.pk} ") == ["Wanted"]
    assert found("#999999999999999999") == []


@pytest.mark.parametrize(
    ("title", "texts"),
    [
        ("Vista 24Q7 打印机无法工作", ["打印机", "无法", "工作", "作", "无法工", "24Q", "4Q7", "打印机24Q7"]),
        ("プリンターが動きません", ["動き", "が動", "プリンタ", "ﾌﾟﾘﾝﾀｰ", "ん"]),
        ("프린터가 작동하지 않습니다", ["프린터", "작동", "않습니다"]),
        (f"sha {SHA}", [SHA, "de99991b", SHA[5:30], SHA[9:], SHA[:20]]),
        (GERMAN, [GERMAN, "gesetz", "UBERWACHUNGSAUFGABEN", GERMAN[10:]]),
        ("Internacionalización", ["internacionalizaciones", "nacionalizacion"]),
        (f"See {URL}", [URL, "intranet.example.com", "frag"]),
        (PATH, [PATH, "AppData", "Autocomplete"]),
        (f"Ids {UUIDS}", [UUIDS, "426614174000"]),
        (TRACE, [TRACE, "get_queryset"]),
        (
            SENTENCE,
            [SENTENCE, SENTENCE.upper()],
        ),
        ("Łódź Søren Đurić \u0131spanak Þór", ["lodz", "soren", "DURIC", "ispanak", "thor", "Łódź", "Søren"]),
        ("Straße Ærø œuvre", ["strasse", "aero", "oeuvre"]),
        ("Broken 🦊 in C++, C# and .NET", ["🦊", "C++", "c#", ".NET", "net", "broken 🦊"]),
        ("soft\u00adhyphen", ["softhyphen", "soft\u200bhyphen"]),
        ("हिंदी में खोज", ["हिंदी", "खोज", "हिं"]),
    ],
)
def test_a_ticket_is_found_by(found, title, texts):
    TicketFactory(title=title)
    TicketFactory(title="Car in a café", description="Cancelled")

    assert {text: found(text) for text in texts} == {text: [title] for text in texts}


@pytest.mark.parametrize(
    ("title", "texts"),
    [
        ("Car in C", ["C#", "C++", ".car", "🦊", "in🦊"]),
        ("打印机", ["打机", "机打"]),
        ("internet", [".net"]),
        (f"sha {SHA}", [SHA[:20] + "0" + SHA[20:]]),
    ],
)
def test_a_ticket_is_not_found_by(found, title, texts):
    TicketFactory(title=title)

    assert {text: found(text) for text in texts} == {text: [] for text in texts}


def test_of_many_words_the_ten_longest_count(found):
    TicketFactory(title=" ".join(f"longword{number}" for number in range(10)))

    assert len(found(" ".join(f"longword{number}" for number in range(10)) + " missing")) == 1
    assert found(" ".join(f"longword{number}" for number in range(9)) + " missing") == []


@pytest.mark.parametrize("text", ["", " ", "\u200b", "\u00ad \u2060"])
def test_a_query_of_invisible_characters_does_not_filter(found, text):
    TicketFactory(title="Printer")

    assert found(text) == ["Printer"]


def made_up_words(part, *, count):
    return [f"{''.join(letters)}{part}" for letters in islice(product(ascii_lowercase, repeat=3), count)]


@pytest.mark.parametrize(
    ("title", "part", "count"),
    [("Kyyvqblueprints", "yvqblue", 2500), ("qwvabandonando", "qwvabandonar", 1500)],
    ids=["a part", "an inflection"],
)
def test_the_words_of_other_customers_hide_nothing(api, agent, found, title, part, count):
    words = " ".join(made_up_words(part, count=count))
    before = TicketFactory(title="list", description=words)
    TicketFactory(title=title)
    strangers = [before, TicketFactory(title="list again", description=words)]

    assert title in found(part)
    for ticket in strangers:
        api(agent).delete(f"/api/tickets/{ticket.pk}/")
    assert found(part) == [title]


def test_the_words_that_a_customer_brought_first_are_within_the_limit(found, monkeypatch):
    monkeypatch.setattr(search, "MAXIMUM_WORDS_PER_PART", 3)
    TicketFactory(title="list", description=" ".join(made_up_words("print", count=10)))
    TicketFactory(title="Fingerprint")
    TicketFactory(title="Blueprint")

    assert found("print") == ["Blueprint", "Fingerprint", "list"]


def test_many_tickets_of_one_customer_hide_none_of_another(found, customer, monkeypatch):
    monkeypatch.setattr(search, "MAXIMUM_WORDS_PER_PART", 3)
    for word in made_up_words("print", count=5):
        TicketFactory(title=word, created_by=customer)
    TicketFactory(title="Fingerprint")

    assert "Fingerprint" in found("print")


def test_of_very_many_words_with_a_part_some_are_ranked(monkeypatch):
    TicketFactory(title="list", description=" ".join(made_up_words("print", count=10)))
    monkeypatch.setattr(search, "MAXIMUM_WORDS_RANKED", 4)

    assert len(search.find_operands(["print"])["print"]) == 4
