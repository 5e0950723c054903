"""Bodies that mean harm, or make no sense, are refused with the right status, and nothing is written."""

from contextlib import contextmanager

import orjson
import pytest
from django.apps import apps

from config.tests.problems import others_than, status_of
from helpdesk.tickets.models import Ticket
from helpdesk.users.tests.factories import PASSWORD

pytestmark = pytest.mark.django_db

JSON = "application/json"
HUGE = "1" + "0" * 30
FIVE_MEGABYTES = b'{"title": "' + b"a" * 5 * 1024 * 1024 + b'", "description": "It is big."}'

BAD_BODIES = [
    *(b"", b"  ", b"[]", b'"title"', b"12", b"true", b"null", b"NaN", b"title=a&description=b", b"{"),
    b'[{"title": "a", "description": "b"}]',
    b'{"title": NaN, "description": "b"}',
    b'{"title": "a", "description": "b", "priority": -Infinity}',
    b'{"title": "a", "description": ',
    b'{"title": "a", "description": "b"} {}',
    b'{"title": "a", /* b */ "description": "b"}',
    b"{'title': 'a', 'description': 'b'}",
    b'{"title": "a\x00", "description": "b"}',  # a raw NUL, and escaped ones
    b'{"title": "a\\u0000", "description": "b"}',
    b'{"title": "a", "description": "b\\u0000"}',
    b'{"title": "a\\ud800", "description": "b"}',  # lone surrogates, escaped and raw
    b'{"title": "\\udc00\\ud800", "description": "b"}',
    b'{"title": "\xed\xa0\x80", "description": "b"}',
    b'{"title": "\xff\xfe", "description": "b"}',  # bad and overlong UTF-8, and other encodings
    b'{"title": "\xc0\xaf", "description": "b"}',
    '{"title": "año", "description": "b"}'.encode("latin-1"),
    '{"title": "a", "description": "b"}'.encode("utf-16"),
    b"[" * 200_000,
    b"[" * 200_000 + b"]" * 200_000,
    b'{"a":' * 200_000,
    b'{"title": "a", "description": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    b'{"": "a"}',
    b'{"__proto__": {"title": "a", "description": "b"}}',
]
BAD_CHANGES = [b"[]", b'"open"', b"null", b"12", b"{", b"[" * 200_000, b'{"title": "\\ud800"}', b'{"title": "\xff"}']

NO_TEXTS = [1, 1.5, True, None, [], ["a"], {}, {"a": 1}, "", " ", "\n", "a\0b"]
NO_TITLES = [*NO_TEXTS, "a\nb", "a\rb", "bell\a.", "\x1b[31m", "a\x85b", "a\u2028b", "a" * 201, "a" * 10_000]
NO_CHOICES = [1, 2.5, True, None, [], ["low"], {}, {"low": 1}, "", "Open", "LOW", "open ", "unknown", "\u0662", "\0"]
NO_IDS = [
    *(0, -1, 1.0, 1.5, 1e30, 2**63, 2**64 - 1, True, False, [], [1], {}, {"id": 1}),
    *(
        "",
        " ",
        "1 ",
        "+1",
        "-1",
        "1.0",
        "1e3",
        "0x1",
        "1_0",
        "one",
        HUGE,
        "9" * 5000,
        "1\0",
        "\u0661\u0662",
        "\uff11",
        "²",
    ),
]
NO_TRUTHS = [1, 0, "true", "yes", "", None, [], {}]
BAD_VALUES = {
    ("post", "/api/tickets/", "title"): NO_TITLES,
    ("post", "/api/tickets/", "description"): [*NO_TEXTS, "a" * 20_001],
    ("post", "/api/tickets/", "priority"): NO_CHOICES,
    ("patch", "/api/tickets/{ticket}/", "title"): NO_TITLES,
    ("patch", "/api/tickets/{ticket}/", "description"): [*NO_TEXTS, "a" * 20_001],
    ("patch", "/api/tickets/{ticket}/", "status"): NO_CHOICES,
    ("patch", "/api/tickets/{ticket}/", "priority"): NO_CHOICES,
    ("put", "/api/tickets/{ticket}/", "assigned_to"): NO_IDS,
    ("post", "/api/comments/", "content"): [*NO_TEXTS, "a" * 10_001],
    ("post", "/api/comments/", "ticket"): [*NO_IDS, None],
    ("patch", "/api/users/me/", "name"): [1, True, None, [], {}, "a\0", "a" * 151],
    ("patch", "/api/users/me/", "email"): [*NO_TEXTS, "a@", "a b@example.com", "a@example.com\nb"],
    ("patch", "/api/users/me/", "language"): NO_CHOICES,
    ("post", "/api/users/me/password/", "new_password"): [1, None, [], {}, "", "a\0" * 8, "a" * 129],
    ("post", "/api/auth/token/", "username"): [*NO_TEXTS, "a" * 151],
    ("post", "/api/auth/token/", "password"): [1, True, None, [], {}, "", "a\0b", "a" * 129],
    ("post", "/api/auth/token/refresh/", "refresh"): [*NO_TEXTS, "a" * 2001],
    ("post", "/api/auth/logout/", "refresh"): [*NO_TEXTS, "a" * 2001],
    ("post", "/api/auth/register/", "username"): [*NO_TEXTS, "a" * 151, "a b", "año", "a\n", " a", "\u0430dmin"],
    ("post", "/api/auth/register/", "email"): [
        *NO_TEXTS,
        "a@",
        "a b@example.com",
        "a@example.com\nBcc: b@example.com",
    ],
    ("post", "/api/auth/register/", "password"): [1, True, None, [], {}, "", "a\0" * 8, "a" * 129, "password"],
    ("patch", "/api/preferences/", "status_changed"): [
        *(1, 0, True, "true", "", None, [], [{}], {"": True}, {"fax": True}, {"email\0": True}),
        *({"live": truth} for truth in NO_TRUTHS),
    ],
}
GOOD_BODIES = {
    "/api/tickets/": {"title": "No sound", "description": "Since today."},
    "/api/comments/": {"content": "Hello"},
    "/api/auth/token/": {"username": "alice", "password": "guess"},
    "/api/auth/register/": {"username": "zoe", "email": "zoe@example.com", "password": "staple of the horse"},
    "/api/users/me/password/": {"current_password": PASSWORD, "new_password": "staple of the horse"},
}

GOOD_TITLES = [
    "👩\u200d👩\u200d👧 family",
    "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    "\u200f\u05e2\u05d1\u05e8\u05d9\u05ea\u200e",
    "zero\u200bwidth",
    "e\u0301" * 100,
    "𐍈" * 200,
    "\ue000 private, \U000e0001 tag, \uffff no character",
    "'; DROP TABLE tickets_ticket; --",
    "<script>alert(1)</script>",
    "{{ 7 * 7 }} {% debug %} ${7*7} %s %(a)s {0}",
    "=1+1",
    "../../etc/passwd",
]


@contextmanager
def nothing_written():
    before = contents()
    yield
    assert contents() == before


def contents():
    """Return the rows of every table that a request can write to, but for failed logins."""
    return {
        model.__name__: list(model._default_manager.order_by("pk").values())
        for model in apps.get_models()
        if model.__module__.startswith(("helpdesk", "rest_framework_simplejwt"))
    }


@pytest.mark.parametrize("path", ["/api/tickets/", "/api/comments/", "/api/auth/token/", "/api/users/me/password/"])
def test_a_body_that_is_no_object_of_the_kind_is_refused(api, customer, path):
    client = api(customer)

    with nothing_written():
        statuses = [(body, status_of(client.post(path, body, content_type=JSON))) for body in BAD_BODIES]

    assert not others_than(400, statuses)


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_change_that_is_no_object_of_the_kind_is_refused(api, agent, ticket, method):
    client = api(agent)
    path = f"/api/tickets/{ticket.pk}/"

    with nothing_written():
        statuses = [(body, status_of(client.generic(method, path, body, content_type=JSON))) for body in BAD_CHANGES]

    assert not others_than(400, statuses)


@pytest.mark.parametrize(("method", "path", "field"), BAD_VALUES.keys())
def test_a_value_that_is_not_of_its_fields_kind_is_refused(api, agent, ticket, method, path, field):
    send = getattr(api(agent), method)
    body = GOOD_BODIES.get(path, {}) | ({"ticket": ticket.pk} if path == "/api/comments/" else {})

    with nothing_written():
        answers = {
            orjson.dumps(value): send(path.format(ticket=ticket.pk), body | {field: value})
            for value in BAD_VALUES[method, path, field]
        }

    assert not others_than(400, [(value, status_of(answer)) for value, answer in answers.items()])
    named = {error["pointer"].split("/")[1] for answer in answers.values() for error in answer.json()["errors"]}
    assert named == {field}


def test_a_number_that_is_no_id_is_refused(api, agent, ticket):
    client = api(agent)
    numbers = [HUGE, f"-{HUGE}", "1e400", "-0", "00", "18446744073709551616", "9223372036854775808"]

    with nothing_written():
        comments = [
            (
                number,
                status_of(client.post("/api/comments/", f'{{"ticket": {number}, "content": "a"}}', content_type=JSON)),
            )
            for number in numbers
        ]
        path = f"/api/tickets/{ticket.pk}/"
        changes = [
            (number, status_of(client.patch(path, f'{{"assigned_to": {number}}}', content_type=JSON)))
            for number in numbers
        ]

    assert not others_than(400, comments)
    assert not others_than(400, changes)


@pytest.mark.parametrize("title", GOOD_TITLES)
def test_unusual_text_is_kept_as_it_is(api, customer, title):
    response = api(customer).post("/api/tickets/", {"title": title, "description": f"{title}\n\t{title}"})

    assert response.status_code == 201
    ticket = Ticket.objects.get()
    assert (ticket.title, ticket.description) == (title, f"{title}\n\t{title}")
    assert response.json()["title"] == title


def test_of_a_key_that_comes_twice_the_last_counts(api, customer):
    body = b'{"title": "first", "title": "last", "description": "b", "description": "b"}'

    response = api(customer).post("/api/tickets/", body, content_type=JSON)

    assert response.status_code == 201
    assert Ticket.objects.get().title == "last"


@pytest.mark.parametrize("path", ["/api/tickets/", "/api/comments/", "/api/auth/token/", "/api/auth/token/refresh/"])
def test_a_body_of_five_megabytes_is_refused(api, customer, path):
    client = api(customer)

    with nothing_written():
        response = client.post(path, FIVE_MEGABYTES, content_type=JSON)

    assert status_of(response) == 413


@pytest.mark.parametrize("length", ["", "0", "-1", "1e3", "abc", "\u0665"])
def test_a_body_of_unknown_length_is_not_read(api, customer, length):
    client = api(customer)

    with nothing_written():
        response = client.post("/api/tickets/", FIVE_MEGABYTES, content_type=JSON, CONTENT_LENGTH=length)

    assert status_of(response) == 400


@pytest.mark.parametrize(("length", "expected"), [("10", 400), (str(1024 * 1024 + 1), 413), (HUGE, 413)])
def test_a_body_of_another_length_than_said_is_refused(api, customer, length, expected):
    client = api(customer)

    with nothing_written():
        response = client.post(
            "/api/tickets/",
            b'{"title": "a", "description": "b"}',
            content_type=JSON,
            CONTENT_LENGTH=length,
        )

    assert status_of(response) == expected


def test_a_body_that_is_not_said_to_be_json_is_refused(api, customer):
    client = api(customer)
    others = [
        "",
        ";",
        "text/plain",
        "application/xml",
        "application/x-www-form-urlencoded",
        "application",
        "a/b; c=d",
        "\0",
    ]

    with nothing_written():
        statuses = [
            (
                kind,
                status_of(
                    client.generic("POST", "/api/tickets/", b'{"title": "a", "description": "b"}', content_type=kind)
                ),
            )
            for kind in others
        ]

    assert not others_than(415, statuses)


def test_json_is_utf_8_whatever_its_charset_is_said_to_be(api, customer):
    client = api(customer)
    body = '{"title": "año", "description": "b"}'.encode()
    charsets = ["utf-8", "UTF-8", "latin-1", "utf-16", "unknown", '"', "utf-8; charset=utf-7"]

    statuses = [
        (charset, status_of(client.post("/api/tickets/", body, content_type=f"{JSON}; charset={charset}")))
        for charset in charsets
    ]

    assert not others_than(201, statuses)
    assert set(Ticket.objects.values_list("title", flat=True)) == {"año"}
