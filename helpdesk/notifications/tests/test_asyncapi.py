"""The AsyncAPI document; conftest's client checks every frame that any test hears against it."""

import jsonschema  # type: ignore[import-untyped]
import pytest

from helpdesk.notifications.live import asyncapi


def resolved(document, reference):
    node = document
    for part in reference.removeprefix("#/").split("/"):
        node = node[part]
    return resolved(document, node["$ref"]) if "$ref" in node else node


def test_it_is_open_to_everyone_and_its_references_lead_somewhere(api):
    document = api().get("/api/asyncapi.json").json()

    assert document["asyncapi"] == "3.0.0"
    assert document == asyncapi.document()
    for operation in document["operations"].values():
        assert resolved(document, operation["channel"]["$ref"])["address"] == "/ws/notifications/"
        for message in operation["messages"]:
            jsonschema.Draft7Validator.check_schema(resolved(document, message["$ref"])["payload"])


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "ping"},
        {"type": "ping", "seq": 1, "more": 1},
        {"type": "hello", "seq": 1},
        {"type": "ticket_created", "message": "New", "ticket": {"id": 1}},
    ],
)
def test_it_refuses_what_the_server_does_not_send(frame):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(frame, asyncapi.FROM_SERVER[frame["type"]])
