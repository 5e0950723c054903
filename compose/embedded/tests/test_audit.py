import json

import pytest

from compose.embedded.audit import UNKNOWN, VULNERABLE, node_findings, python_findings, report

SOUND = {"name": "django", "version": "5.2.19", "vulns": []}
VULNERABLE_PACKAGE = {
    "name": "jinja",
    "version": "1.0",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"], "aliases": [], "description": "…"}],
}
SKIPPED = {"name": "amqp", "skip_reason": "Dependency not found on PyPI and could not be audited: amqp (5.4.2)"}


def of_python(*packages):
    return python_findings("base.txt", json.dumps({"dependencies": packages, "fixes": []}))


def test_nothing_is_said_against_sound_packages(capsys):
    assert report([of_python(SOUND), node_findings("package-lock.json", '{"vulnerabilities": {}}')]) == 0
    assert capsys.readouterr().out == "No known vulnerabilities.\n"


def test_a_vulnerability_is_named_once_and_with_what_mends_it(capsys):
    node = {"vulnerabilities": {"ws": {"severity": "high", "range": "<8.1"}}}

    code = report(
        [
            of_python(SOUND, VULNERABLE_PACKAGE, SKIPPED),
            of_python(VULNERABLE_PACKAGE),
            node_findings("package-lock.json", json.dumps(node)),
        ]
    )

    assert code == VULNERABLE
    assert capsys.readouterr().out.splitlines()[:2] == [
        "jinja 1.0: PYSEC-1, mended in 1.1",
        "ws <8.1: high, see `npm audit`",
    ]


def test_a_package_that_pypi_does_not_answer_for_is_not_taken_for_sound(capsys):
    assert report([of_python(SOUND, SKIPPED)]) == UNKNOWN
    assert "base.txt: PyPI did not answer for 1 of 2 packages." in capsys.readouterr().out


@pytest.mark.parametrize(
    "output", ["", "Traceback", '{"message": "405 Method Not Allowed", "error": {}}', "[]", "null"]
)
def test_a_service_that_cannot_be_reached_is_not_taken_for_a_clean_bill(output):
    assert report([python_findings("base.txt", output)]) == UNKNOWN
    assert report([node_findings("package-lock.json", output)]) == UNKNOWN
