"""The dashboard, the alerts and the scrape example ask for what the helpdesk really tells, where it tells it."""

import json
import re

import pytest
import yaml
from django.urls import resolve

from compose.embedded.options import ROOT
from config.health import metrics
from helpdesk.monitoring.health import Service, registry
from helpdesk.monitoring.metrics import Duration, counted

FOLDER = ROOT / "compose" / "production"
DASHBOARD = json.loads((FOLDER / "grafana" / "helpdesk.json").read_text())
PROMETHEUS = yaml.safe_load((FOLDER / "prometheus" / "prometheus.yml").read_text())
(ALERTS,) = yaml.safe_load((FOLDER / "prometheus" / "alerts.yml").read_text())["groups"]
QUERIES = {
    **{panel["title"]: [target["expr"] for target in panel["targets"]] for panel in DASHBOARD["panels"]},
    **{rule["alert"]: [rule["expr"]] for rule in ALERTS["rules"]},
}
CHECKS = {f"{service}_available" for service in Service} | registry.keys() | {"newest_backup_age_seconds"}
SELECTED = re.compile(r"\b((?:helpdesk|up)\w*)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)(?:=~|!=|!~|=)"')
GROUPED = re.compile(r"\bby \(([^)]*)\)")
PARENTHESES = {"(": ")", "[": "]", "{": "}"}


def labels_by_series():
    """Return the names of all series that there can be, with their labels."""
    series = {"up": {"job", "instance"}, "helpdesk_check_healthy": {"check"}} | {
        f"helpdesk_{check}": set() for check in CHECKS
    }
    for one in counted:
        if isinstance(one, Duration):
            series |= {f"{one.name}_{part}": set(one.labels) for part in ("sum", "count")}
            series[f"{one.name}_bucket"] = {*one.labels, "le"}
        else:
            series[one.name] = set(one.labels)
    return series


def is_balanced(query):
    waiting = []
    for character in re.sub(r'"[^"]*"', '""', query):
        if character in PARENTHESES:
            waiting.append(PARENTHESES[character])
        elif character in PARENTHESES.values() and (not waiting or waiting.pop() != character):
            return False
    return not waiting


@pytest.mark.parametrize("title", QUERIES)
def test_a_query_names_series_and_labels_that_exist(title):
    known = labels_by_series()

    for query in QUERIES[title]:
        selected = SELECTED.findall(query)
        grouped = {label.strip() for labels in GROUPED.findall(query) for label in labels.split(",")}
        assert selected, query
        assert is_balanced(query)
        assert {name for name, _ in selected} <= known.keys()
        for name, matchers in selected:
            assert grouped | set(MATCHER.findall(matchers)) <= known[name], query


def test_what_counts_is_read_as_a_rate_and_every_metric_is_shown():
    shown = " ".join(query for panel in DASHBOARD["panels"] for query in QUERIES[panel["title"]])

    for one in counted:
        assert len(re.findall(rf"rate\({one.name}", shown)) == len(re.findall(one.name, shown)) > 0
    unshown = {check for check in CHECKS if f"helpdesk_{check}" not in shown}
    assert unshown == {"postgresql_available", "redis_available", "announcer_has_leader", "newest_backup_age_seconds"}
    assert "helpdesk_check_healthy" in shown


def test_the_dashboard_is_one_that_grafana_can_lay_out_with_any_prometheus():
    (source,) = DASHBOARD["templating"]["list"]
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    cells = [
        (x, y)
        for place in places
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) == 23
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert (source["type"], source["query"]) == ("datasource", "prometheus")
    for panel in DASHBOARD["panels"]:
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {f"${{{source['name']}}}"}
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


def test_prometheus_scrapes_the_address_that_answers_and_reads_the_alerts():
    (job,) = PROMETHEUS["scrape_configs"]

    assert resolve(job["metrics_path"]).func is metrics
    assert job["scheme"] == "https"
    assert job["authorization"].keys() == {"credentials_file"}
    assert PROMETHEUS["rule_files"] == ["alerts.yml"]
    assert all(
        rule["expr"].count("up{") in {0, rule["expr"].count(f'up{{job="{job["job_name"]}"')}
        for rule in ALERTS["rules"]
    )


def test_every_alert_says_how_bad_it_is_and_leaves_time_for_a_restart():
    names = [rule["alert"] for rule in ALERTS["rules"]]
    operations = (ROOT / "docs" / "operations.md").read_text()

    assert len(names) == len(set(names))
    for rule in ALERTS["rules"]:
        assert rule.keys() == {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert int(rule["for"].removesuffix("m")) >= 2
        assert f"`{rule['alert']}`" in operations


def test_alerts_cover_every_health_check():
    (all_but,) = [rule["expr"] for rule in ALERTS["rules"] if "check!=" in rule["expr"]]
    (alone,) = [rule["expr"] for rule in ALERTS["rules"] if "check=" in rule["expr"].replace("check!=", "")]

    assert all_but == alone.replace("check=", "check!=")
    assert re.search(r'check="(\w+)"', alone)[1] in CHECKS
