"""What clients of the helpdesk rely on, through the proxy, with production's settings."""

import json
import re
from urllib.parse import urljoin

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from helpdesk.demo import PASSWORD
from helpdesk.testing import wait_until

FAILURES_BEFORE_A_PAUSE = 5
LIVE_SECONDS = 10
NOT_LOGGED_IN = 4401
IMMUTABLE = "max-age=31536000, immutable"
HASHED = re.compile(r"\.[0-9a-f]{12}\.")
STRANGE_ID = 10**9
MAILED = """
    SELECT users_user.username, emails_email.subject
    FROM emails_email JOIN users_user ON users_user.id = emails_email.recipient_id
    WHERE emails_email.subject LIKE %s
"""

pytestmark = pytest.mark.xdist_group("production")


@pytest.fixture
def customer(production):
    with production.client("customer_1") as client:
        yield client


@pytest.fixture
def stranger(production):
    with production.client("customer_2") as client:
        yield client


@pytest.fixture
def agent(production):
    with production.client("agent_1") as client:
        yield client


@pytest.fixture
def anybody(production):
    with httpx.Client(base_url=production.url, verify=production.tls, timeout=20) as client:
        yield client


@pytest.fixture
def ticket(customer):
    body = {"title": "The printer is out of ink", "description": "Cyan.", "priority": "high"}
    response = customer.post("/tickets/", json=body)
    assert response.status_code == 201
    return response.json()


def socket(production, token):
    url = f"{production.url.replace('https', 'wss')}/ws/notifications/?token={token}"
    return connect(url, ssl=production.socket_tls, proxy=None, open_timeout=LIVE_SECONDS)


def next_frame(client, kind):
    while (frame := json.loads(client.recv(timeout=LIVE_SECONDS)))["type"] != kind:
        continue
    return frame


def test_a_login_a_refresh_that_works_once_and_no_entry_without_a_token(production, anybody):
    pair = production.login("customer_1")
    again = {"refresh": pair["refresh"]}

    wrong = anybody.post("/api/auth/token/", json={"username": "customer_1", "password": "wrong"})
    refreshed = [anybody.post("/api/auth/token/refresh/", json=again) for _ in range(2)]
    without = anybody.get("/api/tickets/")
    garbage = anybody.get("/api/tickets/", headers={"Authorization": "Bearer garbage"})

    assert pair.keys() == {"access", "refresh"}
    assert [response.status_code for response in refreshed] == [200, 401]
    assert refreshed[0].json().keys() == {"access", "refresh"}
    assert [response.status_code for response in (wrong, without, garbage)] == [401, 401, 401]
    assert "WWW-Authenticate" in without.headers


def test_too_many_failed_logins_are_told_to_wait(anybody):
    body = {"username": "nobody_at_all", "password": "wrong"}

    responses = [anybody.post("/api/auth/token/", json=body) for _ in range(FAILURES_BEFORE_A_PAUSE + 1)]

    assert [response.status_code for response in responses] == [*[401] * FAILURES_BEFORE_A_PAUSE, 429]
    assert int(responses[-1].headers["Retry-After"]) > 0


def test_roles_filters_pages_and_search(customer, stranger, agent, ticket):
    path = f"/tickets/{ticket['id']}/"

    found = customer.get("/tickets/", params={"priority": "high", "search": "PRINTER ink", "ordering": "-priority"})
    refused = [customer.get("/tickets/", params=params) for params in ({"status": "bad"}, {"assigned_to": "x"})]
    beyond = customer.get("/tickets/", params={"page": 10_000})
    hidden = [stranger.get(path), stranger.patch(path, json={"status": "closed"}), stranger.delete(path)]
    forbidden = [customer.patch(path, json={"status": "closed"}), customer.delete(path)]
    changed = agent.patch(path, json={"status": "in_progress"})

    assert ticket["id"] in [item["id"] for item in found.json()["results"]]
    assert found.json().keys() == {"count", "count_is_exact", "next", "previous", "results"}
    assert [response.status_code for response in refused] == [400, 400]
    assert beyond.status_code == 404
    assert [response.status_code for response in hidden] == [404, 404, 404]
    assert [response.status_code for response in forbidden] == [403, 403]
    assert (changed.status_code, changed.json()["status"]) == (200, "in_progress")
    assert agent.delete(path).status_code == 204
    assert customer.get(path).status_code == 404


def test_comments_are_paged_oldest_first_and_only_for_those_who_see_the_ticket(customer, stranger, agent, ticket):
    added = [
        client.post("/comments/", json={"ticket": ticket["id"], "content": content})
        for client, content in ((customer, "First"), (agent, "Second"))
    ]
    elsewhere = {
        client.post("/comments/", json={"ticket": number, "content": "Hello"}).status_code
        for client, number in ((stranger, ticket["id"]), (stranger, STRANGE_ID))
    }

    listed = customer.get("/comments/", params={"ticket": ticket["id"]}).json()

    assert [response.status_code for response in added] == [201, 201]
    assert [item["content"] for item in listed["results"]] == ["First", "Second"]
    assert [item["author"]["username"] for item in listed["results"]] == ["customer_1", "agent_1"]
    assert len(elsewhere) == 1
    assert elsewhere <= {400, 404}


def test_live_events_and_e_mails_tell_those_whom_it_concerns(production, customer, agent):
    with (
        socket(production, production.token("agent_1")) as agents,
        socket(production, production.token("customer_1")) as customers,
    ):
        ticket = customer.post("/tickets/", json={"title": "Live", "description": "D"}).json()
        created = next_frame(agents, "ticket_created")
        agent.patch(f"/tickets/{ticket['id']}/", json={"status": "in_progress"})
        changed = next_frame(customers, "status_changed")
        agent.post("/comments/", json={"ticket": ticket["id"], "content": "At work"})
        added = next_frame(customers, "comment_added")
        customers.send('{"type": "ping"}')
        pong = next_frame(customers, "pong")
    wait_until(production.is_idle, what="everything is mailed")

    number = f"[Ticket #{ticket['id']}]"
    assert (created["ticket"]["id"], created["message"]) == (ticket["id"], f"New ticket #{ticket['id']}: Live")
    assert (changed["ticket"]["old_status"], changed["ticket"]["new_status"]) == ("open", "in_progress")
    assert added["comment"]["content"] == "At work"
    assert pong["type"] == "pong"
    assert sorted(production.sql(MAILED, f"{number}%")) == [
        ("agent_1", f"{number} Live"),
        ("agent_2", f"{number} Live"),
        ("customer_1", f"{number} New Comment"),
        ("customer_1", f"{number} Status Updated"),
    ]
    assert {"agent_1@example.com", "customer_1@example.com"} <= {mail["to"] for mail in production.mails("accepted")}


@pytest.mark.parametrize("token", ["", "garbage", "refresh"])
def test_a_socket_is_refused_without_an_access_token(production, token):
    token = production.login("customer_1")["refresh"] if token == "refresh" else token

    with socket(production, token) as client, pytest.raises(ConnectionClosed) as closed:
        client.recv(timeout=LIVE_SECONDS)

    assert closed.value.rcvd.code == NOT_LOGGED_IN


@pytest.mark.parametrize("path", ["/api/docs/", "/admin/login/", "/"])
def test_pages_come_with_their_files_which_never_change(anybody, path):
    page = anybody.get(path)

    files = re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text)
    answers = [anybody.get(urljoin(path, file)) for file in files]

    assert page.status_code == 200
    assert page.headers["Strict-Transport-Security"].startswith("max-age=31536000")
    assert files or path == "/"
    assert [file for file in files if not HASHED.search(file)] == []
    assert {(answer.status_code, answer.headers["Cache-Control"]) for answer in answers} <= {(200, IMMUTABLE)}


def test_an_agent_logs_in_to_the_admin_with_cookies_for_https_alone(anybody):
    anybody.get("/admin/login/")
    form = {"username": "agent_1", "password": PASSWORD, "next": "/admin/"}
    form |= {"csrfmiddlewaretoken": anybody.cookies["csrftoken"]}
    headers = {"Origin": str(anybody.base_url).rstrip("/"), "Referer": f"{anybody.base_url}admin/login/"}

    response = anybody.post("/admin/login/", data=form, headers=headers)
    foreign = anybody.post("/admin/login/", data=form, headers={"Origin": "https://evil.example.com"})

    assert (response.status_code, response.headers["Location"]) == (302, "/admin/")
    assert all(cookie.secure for cookie in anybody.cookies.jar)
    assert anybody.get("/admin/tickets/ticket/").status_code == 200
    assert foreign.status_code == 403


def test_plain_http_leads_to_https(production):
    response = httpx.get(f"{production.plain_site}/api/docs/?x=1")

    assert (response.status_code, response.headers["Location"]) == (308, f"{production.site_url}/api/docs/?x=1")


def test_an_error_is_a_problem_document_without_a_word_on_the_inside(customer):
    response = customer.post("/tickets/", content=b"{", headers={"Content-Type": "application/json"})

    assert (response.status_code, response.headers["Content-Type"]) == (400, "application/problem+json")
    assert response.json()["request_id"] == response.headers["X-Request-ID"]
