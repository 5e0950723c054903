"""Paths, query strings and headers that mean harm, or make no sense."""

from urllib.parse import quote

import pytest

from config.tests.problems import others_than, status_of
from helpdesk.tickets.models import Ticket

pytestmark = pytest.mark.django_db

HUGE = "1" + "0" * 30
DIGITS_THAT_ARE_NOT_ASCII = ["\u0661\u0662", "\uff11", "²"]

NO_ROWS = [
    *(
        "0",
        "-1",
        "+1",
        "1.5",
        "1.0",
        "1e3",
        "true",
        "null",
        "one",
        " ",
        "1 ",
        " 1",
        "1,2",
        "1;2",
        "1'",
        "*",
        HUGE,
        "9" * 5000,
    ),
    *(
        "\0",
        "1\0",
        "a/b",
        "1/2",
        "../1",
        "..",
        "%2e%2e",
        "%00",
        "%31",
        "\n",
        "1\n",
        "\u202e1",
        "💥",
        *DIGITS_THAT_ARE_NOT_ASCII,
    ),
]
NO_PAGES = [
    *("", "0", "-1", "+1", "1.0", "1e0", "true", "last", " 1", "1 ", "1_0", "\0", HUGE, "9" * 5000),
    *DIGITS_THAT_ARE_NOT_ASCII,
]
NO_IDS = [
    "-1",
    "0",
    "me",
    "1.0",
    "1e3",
    "null",
    "true",
    "1,2",
    "\0",
    HUGE,
    "9" * 5000,
    str(2**63),
    *DIGITS_THAT_ARE_NOT_ASCII,
]
NO_FILTERS = {
    ("tickets", "status"): ["Open", "open,closed", "unknown", "null", "\0", "open\0", "0", "'"],
    ("tickets", "priority"): ["1", "HIGH", "unknown", "\0", "urgent'--"],
    ("tickets", "assigned_to"): NO_IDS,
    ("tickets", "ordering"): [
        "id",
        "-",
        "--priority",
        "?",
        "created_at,priority",
        "created_by__password",
        "-title",
        "\0",
    ],
    ("tickets", "search"): ["a" * 201, "\0", "printer\0", " ".join(map(str, range(1500)))],
    ("comments", "ticket"): NO_IDS,
    ("notifications", "after_seq"): [number for number in NO_IDS if number != "0"],
    ("notifications", "unread"): ["1", "yes", "null", "True", "\0"],
    ("users", "role"): ["admin", "Agent", "\0"],
    ("users", "is_active"): ["1", "yes", "null", "True", "truefalse", "\0"],
    ("users", "search"): ["a" * 101, "\0"],
}
# What a query language could take for an operator or a wildcard.
WITHOUT_WORDS = [
    "%",
    "_",
    "%%",
    "\\",
    "'",
    '"',
    "''",
    ":*",
    "&",
    "|",
    "!",
    "()",
    "<->",
    "&|!()<->:*'",
    "\\'",
    "';--",
    "{}",
    "#",
]
WITHOUT_WORDS += ["$$", "-", ".", "💥", "\ue000", "\ufffe"]
WITH_ABSENT_WORDS = [
    "absent:*",
    "absent | printer",
    "!absent",
    "absent%",
    "a_s_nt",
    "#0",
    "#12a",
    "#" + "9" * 18,
    "#" + HUGE,
]
WITH_ABSENT_WORDS += ["\ufdfa", "ß", "½", "𐍈", "中文", "e" * 200, "\ud800"]
WITH_ITS_WORDS = [
    "printer:*",
    "!printer",
    "printer & blinks",
    "printer%",
    "%printer%",
    "(printer)",
    "'printer'",
    "PRÍNTER",
    "\ufb01rst",
]

NO_METHODS = {
    "/api/tickets/": ["PUT", "PATCH", "DELETE", "TRACE", "QUERY", "FOO"],
    "/api/tickets/{ticket}/": ["POST", "TRACE", "FOO"],
    "/api/tickets/{ticket}/events/": ["POST", "PUT", "PATCH", "DELETE"],
    "/api/comments/": ["PUT", "PATCH", "DELETE"],
    "/api/comments/{ticket}/": ["POST", "PUT", "PATCH", "DELETE"],
    "/api/preferences/": ["POST", "PUT", "DELETE"],
    "/api/users/": ["POST", "PUT", "PATCH", "DELETE"],
    "/api/users/me/": ["POST", "PUT", "DELETE"],
    "/api/auth/token/": ["GET", "PUT", "PATCH", "DELETE"],
    "/api/schema/": ["POST", "DELETE"],
}
NO_TOKENS = [
    "",
    "Bearer",
    "Bearer ",
    "Bearer a b",
    "Bearer a.b.c",
    "Bearer \xff",
    "Bearer null",
    "bearer",
    "Basic YTpi",
    "\0",
]
NO_HOSTS = ["evil.example", "testserver:port", "a b", "testserver@evil.example", "\0", "\xf0", "a" * 300, "[::1"]


@pytest.mark.parametrize("resource", ["tickets", "comments", "users"])
def test_a_path_that_names_no_row_is_not_found(api, agent, resource):
    client = api(agent)

    statuses = [(row, status_of(client.get(f"/api/{resource}/{quote(row, safe='')}/"))) for row in NO_ROWS]

    assert not others_than(404, statuses)


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
@pytest.mark.parametrize("role", ["customer", "agent"])
def test_a_path_that_names_no_ticket_changes_nothing(api, request, ticket, role, method):
    send = getattr(api(request.getfixturevalue(role)), method)

    statuses = [
        (row, status_of(send(f"/api/tickets/{quote(row, safe='')}/", {"status": "closed"}))) for row in NO_ROWS
    ]

    assert not others_than(404, statuses)
    assert Ticket.objects.get().status == "open"


@pytest.mark.parametrize("path", ["/api/tickets/", "/api/comments/", "/api/users/", "/api/tickets/{ticket}/events/"])
def test_a_page_that_is_no_number_is_not_found(api, agent, ticket, path):
    client = api(agent)

    statuses = [(page, status_of(client.get(path.format(ticket=ticket.pk), {"page": page}))) for page in NO_PAGES]

    assert not others_than(404, statuses)


@pytest.mark.parametrize(("resource", "parameter"), NO_FILTERS.keys())
def test_a_filter_that_makes_no_sense_is_refused(api, agent, ticket, resource, parameter):
    client = api(agent)

    answers = [client.get(f"/api/{resource}/", {parameter: value}) for value in NO_FILTERS[resource, parameter]]

    assert not others_than(400, [(answer.request["QUERY_STRING"], status_of(answer)) for answer in answers])
    assert {error["pointer"] for answer in answers for error in answer.json()["errors"]} == {f"#/{parameter}"}


@pytest.mark.parametrize(("texts", "found"), [(WITHOUT_WORDS, 0), (WITH_ABSENT_WORDS, 0), (WITH_ITS_WORDS, 1)])
def test_a_search_is_for_words_and_knows_no_operators(api, agent, texts, found):
    client = api(agent)
    client.post("/api/tickets/", {"title": "Printer", "description": "It blinks at first."})

    statuses = [(text, client.get(f"/api/tickets/?search={escaped(text)}").json()["count"]) for text in texts]

    assert not others_than(found, statuses)


def escaped(text):
    return quote(text, safe="", errors="surrogatepass")


def test_garbage_beside_the_parameters_is_passed_over(api, agent, ticket):
    client = api(agent)
    queries = [
        "%",
        "search=%ZZ",
        "search=%E0%A4",
        "search=%ED%A0%80",
        "%00=%00",
        "=",
        "&&&",
        "?",
        "a[]=1",
        "\xff",
        "status=",
    ]

    statuses = [(query, status_of(client.get(f"/api/tickets/?{query}"))) for query in queries]

    assert not others_than(200, statuses)


def test_a_huge_query_string_is_refused(api, agent):
    client = api(agent)
    queries = ["a=1&" * 1500, "search=" + "a" * 1_000_000, "status=" + "open" * 100_000]

    statuses = [(query, status_of(client.get(f"/api/tickets/?{query}"))) for query in queries]

    assert not others_than(400, statuses)


def test_of_a_parameter_that_comes_twice_the_last_counts(api, agent, ticket):
    client = api(agent)

    assert client.get("/api/tickets/?status=bogus&status=open").json()["count"] == 1
    assert status_of(client.get("/api/tickets/?status=open&status=bogus")) == 400


def test_what_is_not_there_is_not_found(api, agent):
    client = api(agent)
    paths = [
        "/api/nothing/",
        "/nothing",
        "/api/tickets/1/2/",
        "/api//tickets/",
        "/api/%00/",
        "/%ff",
        "/💥",
        "/.env",
        "/%2e%2e/",
    ]

    statuses = [(path, status_of(send(path))) for path in paths for send in (client.get, client.post, api().get)]

    assert not others_than(404, statuses)


def test_an_answer_that_cannot_be_json_is_not_given(api, agent):
    client = api(agent)
    kinds = [
        "text/html",
        "application/xml",
        "application/xml, text/plain",
        "image/*",
        "application/problem+json",
        "text",
        ";",
        "a/b;q=x",
        "\xff",
    ]

    statuses = [(kind, status_of(client.get("/api/tickets/", HTTP_ACCEPT=kind))) for kind in kinds]

    assert not others_than(406, statuses)


def test_an_answer_that_can_be_json_is_given(api, agent):
    client = api(agent)
    kinds = ["*/*", "application/*", "application/json", "text/html, */*;q=0.1", "application/json; q=0.5"]

    statuses = [(kind, status_of(client.get("/api/tickets/", HTTP_ACCEPT=kind))) for kind in kinds]

    assert not others_than(200, statuses)


@pytest.mark.parametrize("path", NO_METHODS)
@pytest.mark.parametrize("role", ["customer", "agent"])
def test_a_method_that_a_path_does_not_have_is_refused(api, request, ticket, role, path):
    client = api(request.getfixturevalue(role))

    answers = [(method, client.generic(method, path.format(ticket=ticket.pk))) for method in NO_METHODS[path]]

    assert not others_than(405, [(method, status_of(answer)) for method, answer in answers])
    assert all(method not in answer.headers["Allow"].split(", ") for method, answer in answers)


@pytest.mark.parametrize("path", NO_METHODS)
def test_options_say_what_a_path_allows(api, agent, ticket, path):
    response = api(agent).options(path.format(ticket=ticket.pk))

    assert response.status_code == 200
    assert not {*NO_METHODS[path]} & {*response.headers["Allow"].split(", ")}


def test_a_garbled_token_is_no_token(api, ticket):
    client = api()
    tokens = [*NO_TOKENS, "Bearer " + "a" * 100_000]

    answers = [(token, client.get("/api/tickets/", HTTP_AUTHORIZATION=token)) for token in tokens]

    assert not others_than(401, [(token, status_of(answer)) for token, answer in answers])
    assert {answer.headers["WWW-Authenticate"] for _token, answer in answers} == {'Bearer realm="api"'}


@pytest.mark.parametrize("path", ["/api/tickets/", "/api/auth/token/", "/nothing", "/"])
def test_another_host_is_refused(api, agent, settings, path):
    settings.ALLOWED_HOSTS = ["testserver"]
    client = api(agent)

    statuses = [(host, status_of(client.get(path, HTTP_HOST=host))) for host in NO_HOSTS]

    assert not others_than(400, statuses)
