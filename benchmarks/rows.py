"""The requests of each row of the table."""

import itertools
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from benchmarks.load import Address, Request, fetch
from helpdesk.demo import PASSWORD

TICKETS = "/api/tickets/"
COMMENTS = "/api/comments/"
PAGE_SIZE = 20
KNOWN_TICKETS = 500
STATUSES = ("open", "in_progress", "resolved", "closed")
PRIORITIES = ("low", "medium", "high", "urgent")
WORD = re.compile(r"[^\W\d_]{4,}")
COMMENT = "The new cable has arrived, and the printer on the second floor works again. Thank you!"


@dataclass(frozen=True)
class Sample:
    """Data that requests refer to: the tokens of two users, and the oldest tickets as lists show them."""

    agent: str
    customer: str
    agent_id: int
    tickets: list[dict[str, Any]]
    last_page: int
    seed: int

    @property
    def ids(self) -> list[int]:
        return [ticket["id"] for ticket in self.tickets]

    @property
    def titles(self) -> list[str]:
        return [ticket["title"] for ticket in self.tickets]


@dataclass(frozen=True)
class Row:
    """A line of the table; its budget is CPU milliseconds on Daphne and on Granian.

    If it is never cached, it has a finite number of requests, each sent once after a write has invalidated all lists.
    """

    key: str
    name: str
    budget_ms: tuple[float, float]
    requests: Callable[[Sample], Iterator[Request]]
    is_never_cached: bool = False

    def budget_ms_on(self, server: str) -> float:
        return dict(zip(("daphne", "granian"), self.budget_ms, strict=True))[server]


def read_sample(address: Address, *, seed: int) -> Sample:
    agent, customer = (token(address, username) for username in ("agent_1", "customer_1"))
    count = fetch(address, Request("GET", TICKETS, agent))["count"]
    return Sample(
        agent=agent,
        customer=customer,
        agent_id=fetch(address, Request("GET", "/api/users/me/", agent))["id"],
        tickets=list(itertools.islice(oldest_tickets(address, agent), KNOWN_TICKETS)),
        last_page=-(-count // PAGE_SIZE),
        seed=seed,
    )


def oldest_tickets(address: Address, agent: str) -> Iterator[dict[str, Any]]:
    """Yield tickets of the demo data, which are older than those that a benchmark opens."""
    url = f"{TICKETS}?ordering=created_at"
    while url:
        page = fetch(address, Request("GET", url, agent))
        yield from page["results"]
        url = page["next"] and page["next"].partition(f":{address.port}")[2]


def token(address: Address, username: str) -> str:
    return str(fetch(address, login(username))["access"])


def login(username: str) -> Request:
    return Request("POST", "/api/auth/token/", body={"username": username, "password": PASSWORD})


def invalidating_write(sample: Sample) -> Request:
    """A request after which no agent's list is cached."""
    return new_comment(sample, sample.ids[0])


def first_page(sample: Sample) -> Iterator[Request]:
    return itertools.repeat(tickets(sample))


def filters(sample: Sample) -> Iterator[Request]:
    choices = itertools.product(STATUSES, PRIORITIES)
    return itertools.cycle([tickets(sample, f"status={status}&priority={priority}") for status, priority in choices])


def searches(sample: Sample) -> Iterator[Request]:
    words = sorted({word.lower() for title in sample.titles for word in WORD.findall(title)})[:8]
    return itertools.cycle([tickets(sample, f"search={quote(word)}") for word in words])


def last_page(sample: Sample) -> Iterator[Request]:
    return itertools.repeat(tickets(sample, f"page={sample.last_page}"))


def details(sample: Sample) -> Iterator[Request]:
    return itertools.cycle([detail(sample, number) for number in sample.ids])


def comments_of_tickets(sample: Sample) -> Iterator[Request]:
    return itertools.cycle([Request("GET", f"{COMMENTS}?ticket={number}", sample.agent) for number in sample.ids[:50]])


def new_tickets(sample: Sample) -> Iterator[Request]:
    body = {"title": "The printer does not print", "description": COMMENT, "priority": "high"}
    return itertools.repeat(Request("POST", TICKETS, sample.customer, body, expected_status=201))


def new_comments(sample: Sample) -> Iterator[Request]:
    return itertools.cycle([new_comment(sample, number) for number in sample.ids])


def new_statuses(sample: Sample) -> Iterator[Request]:
    """Set the next status of one ticket after the other, so that every request changes something."""
    for step in itertools.count(1):
        for ticket in sample.tickets:
            status = STATUSES[(STATUSES.index(ticket["status"]) + step) % len(STATUSES)]
            yield Request("PATCH", f"{TICKETS}{ticket['id']}/", sample.agent, {"status": status})


def different_pages(sample: Sample) -> Iterator[Request]:
    numbers = random.Random(sample.seed).sample(range(1, sample.last_page + 1), min(400, sample.last_page))
    return (tickets(sample, f"page={number}") for number in numbers)


def different_searches(sample: Sample) -> Iterator[Request]:
    pairs = {pair for title in sample.titles for pair in itertools.combinations(sorted(set(WORD.findall(title))), 2)}
    chosen = random.Random(sample.seed).sample(sorted(pairs), min(168, len(pairs)))
    return (tickets(sample, f"search={quote(' '.join(pair))}") for pair in chosen)


def mixed(sample: Sample) -> Iterator[Request]:
    """40 details, 40 lists of 8 kinds and 10 new comments, shuffled, over and over."""
    rng = random.Random(sample.seed)
    word = WORD.findall(sample.titles[0])[0]
    kinds = [
        "",
        "page=2",
        f"page={sample.last_page}",
        "status=open",
        "priority=urgent&ordering=-updated_at",
        "status=in_progress&ordering=priority",
        f"assigned_to={sample.agent_id}",
        f"search={quote(word)}",
    ]
    while True:
        round_of_90 = [
            *(detail(sample, number) for number in rng.sample(sample.ids, 40)),
            *(tickets(sample, kind) for kind in kinds * 5),
            *(new_comment(sample, number) for number in rng.sample(sample.ids, 10)),
        ]
        rng.shuffle(round_of_90)
        yield from round_of_90


def logins(sample: Sample) -> Iterator[Request]:
    return itertools.cycle([login(f"customer_{number}") for number in range(1, 51)])


def tickets(sample: Sample, query: str = "") -> Request:
    return Request("GET", f"{TICKETS}?{query}" if query else TICKETS, sample.agent)


def detail(sample: Sample, number: int) -> Request:
    return Request("GET", f"{TICKETS}{number}/", sample.agent)


def new_comment(sample: Sample, number: int) -> Request:
    return Request("POST", COMMENTS, sample.agent, {"ticket": number, "content": COMMENT}, expected_status=201)


ROWS = [
    Row("list", "`GET /api/tickets/`", (2.2, 1.1), first_page),
    Row("filters", "… with filters", (3.5, 2.0), filters),
    Row("search", "… `search=`", (5, 3.5), searches),
    Row("last", "… the last page", (5, 3.5), last_page),
    Row("detail", "`GET /api/tickets/{id}/` with its comments", (3.5, 2.2), details),
    Row("comments", "`GET /api/comments/?ticket=`", (3, 2.0), comments_of_tickets),
    Row("new-ticket", "`POST /api/tickets/`", (5, 3.5), new_tickets),
    Row("new-comment", "`POST /api/comments/`", (5, 3.5), new_comments),
    Row("status", "`PATCH /api/tickets/{id}/` status", (5, 3.5), new_statuses),
    Row("pages", "cache missed every time: 400 different pages", (6, 4), different_pages, is_never_cached=True),
    Row("searches", "… 168 different two-word searches", (8, 6), different_searches, is_never_cached=True),
    Row("mixed", "mixed: 40 details, 40 lists of 8 kinds, 10 comments written", (7, 4), mixed),
    Row("login", "login", (60, 60), logins),
]
