"""The AsyncAPI document; the client of conftest validates every frame of every test against it."""

import tomllib

import jsonschema  # type: ignore[import-untyped]
import pytest

import helpdesk
from compose.embedded.options import ROOT
from helpdesk.notifications.live.protocol import SERVER_SCHEMAS, asyncapi_document


def resolve(document, reference):
    node = document
    for part in reference.removeprefix("#/").split("/"):
        node = node[part]
    return resolve(document, node["$ref"]) if "$ref" in node else node


def test_it_is_open_to_everyone_and_its_references_resolve(api):
    document = api().get("/api/asyncapi.json").json()

    assert document["asyncapi"] == "3.0.0"
    assert document == asyncapi_document()
    for operation in document["operations"].values():
        assert resolve(document, operation["channel"]["$ref"])["address"] == "/ws/notifications/"
        for message in operation["messages"]:
            jsonschema.Draft7Validator.check_schema(resolve(document, message["$ref"])["payload"])


def test_the_package_and_its_api_documents_have_one_version(settings):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    documents = [asyncapi_document()["info"]["version"], settings.SPECTACULAR_SETTINGS["VERSION"]]

    assert [project["version"], *documents] == [helpdesk.__version__] * 3


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "ping"},
        {"type": "ping", "seq": 1, "more": 1},
        {"type": "hello", "seq": 1},
        {"type": "ticket_created", "message": "New", "ticket": {"id": 1}},
    ],
)
def test_it_refuses_frames_that_the_server_does_not_send(frame):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(frame, SERVER_SCHEMAS[frame["type"]])
