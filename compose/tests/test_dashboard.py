"""The dashboard, the alerts and the scrape example name metrics and addresses that exist."""

import json
import re

import pytest
import yaml
from django.urls import resolve
from prometheus_client import REGISTRY

from compose.embedded.options import ROOT
from config.health import metrics
from helpdesk.monitoring.health import Service, registry

FOLDER = ROOT / "compose" / "production"
DASHBOARD = json.loads((FOLDER / "grafana" / "helpdesk.json").read_text())
PROMETHEUS = yaml.safe_load((FOLDER / "prometheus" / "prometheus.yml").read_text())
(ALERTS,) = yaml.safe_load((FOLDER / "prometheus" / "alerts.yml").read_text())["groups"]
QUERIES = {
    **{panel["title"]: " ".join(target["expr"] for target in panel["targets"]) for panel in DASHBOARD["panels"]},
    **{rule["alert"]: rule["expr"] for rule in ALERTS["rules"]},
}
CHECKS = {f"{service}_available" for service in Service} | registry.keys() | {"newest_backup_age_seconds"}
SUFFIXES = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"]}
COUNTED = {
    f"{metric.name}{suffix}"
    for metric in REGISTRY.collect()
    if metric.name.startswith("helpdesk_")
    for suffix in SUFFIXES[metric.type]
}


@pytest.mark.parametrize("title", QUERIES)
def test_a_query_names_metrics_that_exist(title):
    names = set(re.findall(r"\b(?:helpdesk_|up\b)\w*", QUERIES[title]))

    assert names
    assert names <= COUNTED | {"up", "helpdesk_check_healthy"} | {f"helpdesk_{check}" for check in CHECKS}


def test_counters_are_read_as_rates_and_each_is_shown():
    shown = " ".join(QUERIES[panel["title"]] for panel in DASHBOARD["panels"])

    for name in COUNTED:
        assert len(re.findall(rf"rate\({name}", shown)) == len(re.findall(name, shown)) > 0
    assert "helpdesk_check_healthy" in shown


def test_prometheus_scrapes_the_path_and_the_ports_of_the_processes():
    web, background = PROMETHEUS["scrape_configs"]
    services = yaml.safe_load((ROOT / "docker-compose.production.yml").read_text())["services"]

    assert resolve(web["metrics_path"]).func is metrics
    assert web["authorization"].keys() == {"credentials_file"}
    assert PROMETHEUS["rule_files"] == ["alerts.yml"]
    (discovery,) = background["dns_sd_configs"]
    for name in discovery["names"]:
        assert services[name]["environment"]["METRICS_ADDRESS"].endswith(f":{discovery['port']}")
    assert f'up{{job="{web["job_name"]}"}}' in QUERIES["HelpdeskUnreachable"]


def test_every_alert_is_documented_and_leaves_time_for_a_restart():
    operations = (ROOT / "docs" / "operations.md").read_text()

    for rule in ALERTS["rules"]:
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert int(rule["for"].removesuffix("m")) >= 2
        assert f"`{rule['alert']}`" in operations
