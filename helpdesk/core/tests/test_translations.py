"""Every message to users has a Spanish translation."""

from io import BytesIO

import pytest
from babel.messages.extract import DEFAULT_KEYWORDS, extract
from babel.messages.pofile import read_po
from django.conf import settings
from django.utils.translation.template import templatize

KEYWORDS = DEFAULT_KEYWORDS | {"gettext_lazy": None, "ngettext_lazy": (1, 2), "pgettext_lazy": ((1, "c"), 2)}
SPANISH = settings.LOCALE_PATHS[0] / "es" / "LC_MESSAGES" / "django.po"


@pytest.fixture(scope="module")
def catalog():
    with SPANISH.open("rb") as file:
        return read_po(file, locale="es")


def sources():
    """Yield every module and template of the product as Python source."""
    for path in sorted(file for app in ("config", "helpdesk") for file in (settings.BASE_DIR / app).rglob("*.*")):
        if {"tests", "migrations"} & set(path.parts):
            continue
        if path.suffix == ".py":
            yield path.read_bytes()
        elif "templates" in path.parts:
            yield templatize(path.read_text()).encode()


def used_messages():
    return {message for source in sources() for _line, message, *_ in extract("python", BytesIO(source), KEYWORDS)}


def test_every_message_of_the_code_is_translated(catalog):
    translated = {message.id for message in catalog if message.id and message.string}

    assert used_messages() - translated == set()


def test_no_translation_is_doubtful_or_lacks_a_placeholder(catalog):
    assert [message.id for message in catalog if message.fuzzy] == []
    assert [(message.id, [str(error) for error in errors]) for message, errors in catalog.check()] == []


def test_every_plural_is_translated(catalog):
    plurals = [message for message in catalog if isinstance(message.id, tuple)]

    assert plurals
    assert [message.id for message in plurals if not all(message.string)] == []


def test_the_translations_are_compiled(catalog):
    """`make test` does it: python -m babel.messages.frontend compile -D django -d helpdesk/locale."""
    assert SPANISH.with_suffix(".mo").stat().st_mtime >= SPANISH.stat().st_mtime


def test_the_api_refuses_in_spanish(api, agent, customer, ticket):
    response = api(agent).patch(
        f"/api/tickets/{ticket.pk}/",
        {"assigned_to": customer.pk},
        headers={"Accept-Language": "es-AR,es;q=0.9,en;q=0.5"},
    )

    assert response.status_code == 400
    assert response.json()["errors"][0]["detail"] == "Solo se puede asignar a agentes."


def test_the_admin_is_in_the_language_of_the_browser(client, agent, ticket):
    client.force_login(agent)

    html = client.get("/admin/tickets/ticket/", headers={"Accept-Language": "es"}).content.decode()

    assert "Asignarme los tickets seleccionados" in html
    assert ">Abierto<" in html
