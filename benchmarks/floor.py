"""The least that a Python server does for the first page of tickets: a WSGI application without Django, DRF and cache.

It verifies the access token, reads the user and the session by one statement and the rows by another, and answers
{"results": [...]} with the items of `GET /api/tickets/`.
"""

import os
import threading
from collections.abc import Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import jwt
import orjson
import psycopg

READ_USER = """
    SELECT *, EXISTS (SELECT FROM token_blacklist_outstandingtoken WHERE jti LIKE %s) FROM users_user WHERE id = %s
"""
READ_PAGE = """
    SELECT ticket.id, title, status, priority, comments_count, last_comment_at, ticket.created_at, updated_at,
        creator.id, creator.username, creator.name, creator.role,
        assignee.id, assignee.username, assignee.name, assignee.role
    FROM tickets_ticket AS ticket
    JOIN users_user AS creator ON creator.id = created_by_id
    LEFT JOIN users_user AS assignee ON assignee.id = assigned_to_id
    ORDER BY ticket.created_at DESC, ticket.id DESC LIMIT 20
"""
PRIORITIES = {1: "low", 2: "medium", 3: "high", 4: "urgent"}
KEY = os.environ["DJANGO_SECRET_KEY"]
local = threading.local()


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    token = jwt.decode(environ["HTTP_AUTHORIZATION"].removeprefix("Bearer "), KEY, algorithms=["HS256"])
    connection = thread_connection()
    user = connection.execute(READ_USER, [f"{token['sid']}.%", int(token["user_id"])]).fetchone()
    if user is None or not user[-1]:
        start_response("401 Unauthorized", [("Content-Length", "0")])
        return []
    body = orjson.dumps({"results": [item(row) for row in connection.execute(READ_PAGE)]}, option=orjson.OPT_UTC_Z)
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def thread_connection() -> psycopg.Connection:
    """Return the thread's own connection to PostgreSQL, which is kept."""
    if not hasattr(local, "connection"):
        local.connection = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)
    return local.connection  # type: ignore[no-any-return]


def item(row: tuple[Any, ...]) -> dict[str, Any]:
    return {
        "id": row[0],
        "title": row[1],
        "status": row[2],
        "priority": PRIORITIES[row[3]],
        "created_by": summary(row[8:12]),
        "assigned_to": None if row[12] is None else summary(row[12:16]),
        "comments_count": row[4],
        "last_comment_at": row[5],
        "created_at": row[6],
        "updated_at": row[7],
    }


def summary(columns: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip(("id", "username", "name", "role"), columns, strict=True))
