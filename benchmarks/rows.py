"""What is asked of the server: the rows of the table."""

import itertools
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from benchmarks.load import Address, Request, ask

PASSWORD = "testpass123"
TICKETS = "/api/tickets/"
COMMENTS = "/api/comments/"
PAGE_SIZE = 20
KNOWN_TICKETS = 500
STATUSES = ("open", "in_progress", "resolved", "closed")
PRIORITIES = ("low", "medium", "high", "urgent")
WORD = re.compile(r"[^\W\d_]{4,}")
COMMENT = "The new cable has arrived, and the printer on the second floor works again. Thank you!"


@dataclass(frozen=True)
class Site:
    """What the requests need to know of the data: two users' tokens, and the oldest tickets as lists show them."""

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

    One that is never cached has a finite number of requests, each sent once after a write has invalidated all lists.
    """

    key: str
    name: str
    budget_ms: tuple[float, float]
    requests: Callable[[Site], Iterator[Request]]
    is_never_cached: bool = False

    def budget_ms_on(self, server: str) -> float:
        return dict(zip(("daphne", "granian"), self.budget_ms, strict=True))[server]


def explore(address: Address, *, seed: int) -> Site:
    agent, customer = (token(address, username) for username in ("agent_1", "customer_1"))
    count = ask(address, Request("GET", TICKETS, agent))["count"]
    return Site(
        agent=agent,
        customer=customer,
        agent_id=ask(address, Request("GET", "/api/users/me/", agent))["id"],
        tickets=list(itertools.islice(oldest_tickets(address, agent), KNOWN_TICKETS)),
        last_page=-(-count // PAGE_SIZE),
        seed=seed,
    )


def oldest_tickets(address: Address, agent: str) -> Iterator[dict[str, Any]]:
    """Yield tickets of the demo data, which come before those that a benchmark opens."""
    url = f"{TICKETS}?ordering=created_at"
    while url:
        page = ask(address, Request("GET", url, agent))
        yield from page["results"]
        url = page["next"] and page["next"].partition(f":{address.port}")[2]


def token(address: Address, username: str) -> str:
    return str(ask(address, login(username))["access"])


def login(username: str) -> Request:
    return Request("POST", "/api/auth/token/", body={"username": username, "password": PASSWORD})


def outdating_write(site: Site) -> Request:
    """A request after which no agent's list is cached."""
    return new_comment(site, site.ids[0])


def first_page(site: Site) -> Iterator[Request]:
    return itertools.repeat(tickets(site))


def filters(site: Site) -> Iterator[Request]:
    choices = itertools.product(STATUSES, PRIORITIES)
    return itertools.cycle([tickets(site, f"status={status}&priority={priority}") for status, priority in choices])


def searches(site: Site) -> Iterator[Request]:
    words = sorted({word.lower() for title in site.titles for word in WORD.findall(title)})[:8]
    return itertools.cycle([tickets(site, f"search={quote(word)}") for word in words])


def last_page(site: Site) -> Iterator[Request]:
    return itertools.repeat(tickets(site, f"page={site.last_page}"))


def details(site: Site) -> Iterator[Request]:
    return itertools.cycle([detail(site, number) for number in site.ids])


def comments_of_tickets(site: Site) -> Iterator[Request]:
    return itertools.cycle([Request("GET", f"{COMMENTS}?ticket={number}", site.agent) for number in site.ids[:50]])


def new_tickets(site: Site) -> Iterator[Request]:
    body = {"title": "The printer does not print", "description": COMMENT, "priority": "high"}
    return itertools.repeat(Request("POST", TICKETS, site.customer, body, expected_status=201))


def new_comments(site: Site) -> Iterator[Request]:
    return itertools.cycle([new_comment(site, number) for number in site.ids])


def new_statuses(site: Site) -> Iterator[Request]:
    """Move ticket after ticket on by one status, so that every request changes something."""
    for step in itertools.count(1):
        for ticket in site.tickets:
            status = STATUSES[(STATUSES.index(ticket["status"]) + step) % len(STATUSES)]
            yield Request("PATCH", f"{TICKETS}{ticket['id']}/", site.agent, {"status": status})


def different_pages(site: Site) -> Iterator[Request]:
    numbers = random.Random(site.seed).sample(range(1, site.last_page + 1), min(400, site.last_page))
    return (tickets(site, f"page={number}") for number in numbers)


def different_searches(site: Site) -> Iterator[Request]:
    pairs = {pair for title in site.titles for pair in itertools.combinations(sorted(set(WORD.findall(title))), 2)}
    chosen = random.Random(site.seed).sample(sorted(pairs), min(168, len(pairs)))
    return (tickets(site, f"search={quote(' '.join(pair))}") for pair in chosen)


def mixed(site: Site) -> Iterator[Request]:
    """40 details, 40 lists of 8 kinds and 10 new comments, shuffled, over and over."""
    rng = random.Random(site.seed)
    word = WORD.findall(site.titles[0])[0]
    kinds = [
        "",
        "page=2",
        f"page={site.last_page}",
        "status=open",
        "priority=urgent&ordering=-updated_at",
        "status=in_progress&ordering=priority",
        f"assigned_to={site.agent_id}",
        f"search={quote(word)}",
    ]
    while True:
        round_of_90 = [
            *(detail(site, number) for number in rng.sample(site.ids, 40)),
            *(tickets(site, kind) for kind in kinds * 5),
            *(new_comment(site, number) for number in rng.sample(site.ids, 10)),
        ]
        rng.shuffle(round_of_90)
        yield from round_of_90


def logins(site: Site) -> Iterator[Request]:
    return itertools.cycle([login(f"customer_{number}") for number in range(1, 51)])


def tickets(site: Site, query: str = "") -> Request:
    return Request("GET", f"{TICKETS}?{query}" if query else TICKETS, site.agent)


def detail(site: Site, number: int) -> Request:
    return Request("GET", f"{TICKETS}{number}/", site.agent)


def new_comment(site: Site, number: int) -> Request:
    return Request("POST", COMMENTS, site.agent, {"ticket": number, "content": COMMENT}, expected_status=201)


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
