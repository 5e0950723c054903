"""The requests of each row of the table."""

import itertools
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from benchmarks.data import SEED
from benchmarks.load import Address, Request, fetch
from helpdesk.demo import PASSWORD

TICKETS = "/api/tickets/"
COMMENTS = "/api/comments/"
PAGE_SIZE = 20
KNOWN_TICKETS = 500
STATUSES = ("open", "in_progress", "resolved", "closed")
PRIORITIES = ("low", "medium", "high", "urgent")
ORDERS = ("created_at", "-created_at", "updated_at", "-updated_at", "priority", "-priority")
DIFFERENT_PAGES = 400
DIFFERENT_SEARCHES = 168
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

    @property
    def ids(self) -> list[int]:
        return [ticket["id"] for ticket in self.tickets]

    @property
    def titles(self) -> list[str]:
        return [ticket["title"] for ticket in self.tickets]


@dataclass(frozen=True)
class Row:
    """A line of the table; its budgets are milliseconds of CPU with 10,000 tickets.

    If it is never cached, it has a finite number of requests, each sent once after a write has invalidated all lists.
    """

    key: str
    name: str
    local_budget_ms: float
    production_budget_ms: float
    requests: Callable[[Sample], Iterator[Request]]
    is_never_cached: bool = False
    million_budget_ms: float | None = None
    """The budget of both with 1,000,000 tickets."""


@dataclass(frozen=True)
class LatencyRow:
    """A request that is timed alone, after a write has invalidated all lists; its budget is milliseconds."""

    key: str
    name: str
    budget_ms: float
    request: Callable[[Sample], Request]


def read_sample(address: Address) -> Sample:
    agent, customer = (token(address, username) for username in ("agent_1", "customer_1"))
    count = fetch(address, Request("GET", TICKETS, agent))["count"]
    return Sample(
        agent=agent,
        customer=customer,
        agent_id=fetch(address, Request("GET", "/api/users/me/", agent))["id"],
        tickets=list(itertools.islice(oldest_tickets(address, agent), KNOWN_TICKETS)),
        last_page=-(-count // PAGE_SIZE),
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
    return itertools.cycle([search(sample, word) for word in sorted(words(sample))[:8]])


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
    pages = itertools.product(range(1, sample.last_page + 1), ORDERS)
    chosen = pick(list(pages), DIFFERENT_PAGES)
    return (tickets(sample, f"page={number}&ordering={order}") for number, order in chosen)


def different_searches(sample: Sample) -> Iterator[Request]:
    searches = itertools.product(sorted(word_pairs(sample)), ORDERS)
    chosen = pick(list(searches), DIFFERENT_SEARCHES)
    return (tickets(sample, f"search={quote(pair)}&ordering={order}") for pair, order in chosen)


def pick(choices: list[Any], count: int) -> list[Any]:
    return random.Random(SEED).sample(choices, min(count, len(choices)))


def words(sample: Sample) -> Counter[str]:
    """Return the words of all titles, each with how often it occurs."""
    return Counter(word.lower() for title in sample.titles for word in WORD.findall(title))


def word_pairs(sample: Sample) -> Counter[str]:
    """Return the searches for two words of a title, each with the number of titles."""
    return Counter(
        " ".join(pair)
        for title in sample.titles
        for pair in itertools.combinations(sorted({word.lower() for word in WORD.findall(title)}), 2)
    )


def most_common(counter: Counter[str]) -> str:
    return counter.most_common(1)[0][0]


def mixed(sample: Sample) -> Iterator[Request]:
    """40 details, 40 lists of 8 kinds and 10 new comments, shuffled, over and over."""
    rng = random.Random(SEED)
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


def search(sample: Sample, text: str) -> Request:
    return tickets(sample, f"search={quote(text)}")


ROWS = [
    Row("list", "`GET /api/tickets/`, cached", 2.4, 1.2, first_page),
    Row("filters", "… with filters, cached", 2.4, 1.2, filters),
    Row("search", "… `search=`, cached", 2.4, 1.2, searches),
    Row("last", "… the last page, cached", 2.4, 1.2, last_page),
    Row("detail", "`GET /api/tickets/{id}/` with its comments", 3.4, 2.2, details),
    Row("comments", "`GET /api/comments/?ticket=`, cached", 2.4, 1.2, comments_of_tickets),
    Row("new-ticket", "`POST /api/tickets/`", 4.4, 3.2, new_tickets),
    Row("new-comment", "`POST /api/comments/`", 4.7, 3.5, new_comments),
    Row("status", "`PATCH /api/tickets/{id}/` status", 4.1, 2.9, new_statuses),
    Row("pages", "pages in 6 orders, each once", 4.4, 3.2, different_pages, is_never_cached=True),
    Row(
        "searches",
        "two-word searches in 6 orders, each once",
        5.0,
        3.8,
        different_searches,
        is_never_cached=True,
        million_budget_ms=15,
    ),
    Row("mixed", "mixed: 40 details, 40 lists of 8 kinds, 10 comments written", 4.4, 3.2, mixed, million_budget_ms=5),
    Row("login", "login", 40, 40, logins),
]
PROXY_BUDGET_MS = 0.4

LATENCY_ROWS = [
    LatencyRow("first-ms", "first page", 10, tickets),
    LatencyRow("middle-ms", "middle page", 15, lambda sample: tickets(sample, f"page={-(-sample.last_page // 2)}")),
    LatencyRow("last-ms", "last page", 15, lambda sample: tickets(sample, f"page={sample.last_page}")),
    LatencyRow("filters-ms", "status and priority", 12, lambda sample: tickets(sample, "status=open&priority=high")),
    LatencyRow("word-ms", "search, a common word", 50, lambda sample: search(sample, most_common(words(sample)))),
    LatencyRow("words-ms", "search, two words", 50, lambda sample: search(sample, most_common(word_pairs(sample)))),
    LatencyRow("prefix-ms", "search, `ing`", 50, lambda sample: search(sample, "ing")),
    LatencyRow("no-hit-ms", "search, `zzzz`", 50, lambda sample: search(sample, "zzzz")),
    LatencyRow("detail-ms", "detail", 5, lambda sample: detail(sample, sample.ids[-1])),
]
