"""The example for Kubernetes runs the production image as the compose file does, and is accepted by the API's schemas."""

import re

import pytest
import yaml
from django.urls import resolve

from compose.embedded.options import ROOT
from compose.tests import compose_files
from compose.tests.compose_files import read_compose_file, scripts_of
from config.tests.variables import COMPLETE, read_by_settings

FOLDER = ROOT / "compose" / "production" / "kubernetes"
DOCUMENTS = [document for path in sorted(FOLDER.glob("*.yaml")) for document in yaml.safe_load_all(path.read_text())]
COMPOSE = read_compose_file(compose_files.PRODUCTION)["services"]
DOCKERFILE = ROOT / COMPOSE["migrate"]["build"]["dockerfile"]


def all_of(kind):
    return {document["metadata"]["name"]: document for document in DOCUMENTS if document["kind"] == kind}


PODS = {
    name.removeprefix("helpdesk-"): document["spec"]["template"]
    for name, document in (all_of("Deployment") | all_of("Job")).items()
}
CONTAINERS = {name: template["spec"]["containers"][0] for name, template in PODS.items()}

each_container = pytest.mark.parametrize("name", CONTAINERS)


def script_of(name):
    return scripts_of(DOCKERFILE)[CONTAINERS[name]["command"][0]].read_text()


def test_it_runs_what_the_compose_file_runs():
    commands_here = {name: " ".join(container["command"]) for name, container in CONTAINERS.items()}

    assert commands_here == {name: COMPOSE[name]["command"] for name in CONTAINERS}
    # Servers of one's own, or of the cluster, take the place of the others.
    assert COMPOSE.keys() - CONTAINERS.keys() == {"proxy", "flower", "postgres", "backups", "redis"}


def test_all_run_one_pinned_image():
    (image,) = {container["image"] for container in CONTAINERS.values()}

    assert re.fullmatch(r"registry\.example\.com/[\w/]+:\d+\.\d+\.\d+", image)


@each_container
def test_a_container_may_do_little_and_is_bounded(name):
    pod, container = PODS[name]["spec"], CONTAINERS[name]

    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    user = f"{pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}"
    assert DOCKERFILE.read_text().split("USER ")[-1].startswith(f"{user}\n")
    assert container["resources"]["limits"].keys() == {"memory"}
    assert container["resources"]["requests"].keys() == {"cpu", "memory"}


@pytest.mark.parametrize("name", ["web", "websocket"])
def test_probes_ask_for_something_that_exists(name):
    container = CONTAINERS[name]
    probes = {probe: container[probe]["httpGet"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")}

    assert {(probe, ask["path"]) for probe, ask in probes.items()} == {
        ("startupProbe", "/livez"),
        ("readinessProbe", "/readyz"),
        ("livenessProbe", "/livez"),
    }
    assert all(resolve(ask["path"]) for ask in probes.values())
    assert {ask["port"] for ask in probes.values()} == {container["ports"][0]["containerPort"]}
    assert f'--port "${{PORT-{container["ports"][0]["containerPort"]}}}"' in script_of(name)


def test_the_way_from_the_ingress_ends_at_containers():
    services = all_of("Service")
    (ingress,) = all_of("Ingress").values()
    backends = {
        rule["path"]: (rule["backend"]["service"]["name"], rule["backend"]["service"]["port"]["number"])
        for rule in ingress["spec"]["rules"][0]["http"]["paths"]
    }

    assert backends == {"/ws/": ("helpdesk-websocket", 8001), "/": ("helpdesk-web", 8000)}
    for name, port in backends.values():
        (exposed,) = services[name]["spec"]["ports"]
        pod = PODS[name.removeprefix("helpdesk-")]
        assert exposed == {"port": port, "targetPort": port}
        assert services[name]["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
        assert pod["spec"]["containers"][0]["ports"] == [{"containerPort": port}]


def test_budgets_and_scalers_mean_deployments_that_exist():
    deployments = all_of("Deployment")

    assert all_of("PodDisruptionBudget").keys() | all_of("HorizontalPodAutoscaler").keys() <= deployments.keys()
    for scaler in all_of("HorizontalPodAutoscaler").values():
        assert scaler["spec"]["scaleTargetRef"]["name"] in deployments
    assert deployments["helpdesk-celerybeat"]["spec"]["replicas"] == 1
    assert deployments["helpdesk-celerybeat"]["spec"]["strategy"] == {"type": "Recreate"}


def test_the_configuration_is_enough_and_holds_no_secret():
    (open_values,) = (document["data"] for document in all_of("ConfigMap").values())
    (secrets,) = (document["stringData"] for document in all_of("Secret").values())

    assert open_values.keys() | secrets.keys() >= COMPLETE.keys()
    assert open_values.keys() | secrets.keys() <= read_by_settings() | {"DJANGO_SETTINGS_MODULE"}
    assert set(secrets.values()) == {""}
