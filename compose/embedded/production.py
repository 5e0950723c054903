"""`make production`: the processes of docker-compose.production.yml on this machine, behind the proxy.

They are the start scripts of the images and the proxy's own configuration; variables say where things are.
"""

import ssl
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from compose.embedded import product
from compose.embedded.options import ROOT, Options
from compose.embedded.ports import LOOPBACK, free_port
from compose.embedded.stack import fill_database, prepared_stack, run_commands
from helpdesk.demo import PASSWORD

SCRIPTS = ROOT / "compose" / "production" / "django"
CADDYFILE = ROOT / "compose" / "production" / "proxy" / "Caddyfile"
STATIC_FILES = ROOT / "staticfiles"
# The user of Flower, where everybody has one known password.
OPERATOR = "admin"


class Topology:
    """Where everything is; the proxy keeps its certificates in `folder`."""

    def __init__(self, folder: Path, port: int, *, flower_port: int | None = None, webs: int = 2) -> None:
        self.folder = folder
        self.port = port
        self.flower_port = flower_port or free_port()
        self.http_port, self.health_port, self.websocket_port = (free_port() for _ in range(3))
        self.web_ports = [free_port() for _ in range(webs)]
        self.url = f"https://localhost:{port}"
        # The certificate of the proxy's own authority, which exists once the proxy has started.
        self.authority = folder / ".local" / "share" / "caddy" / "pki" / "authorities" / "local" / "root.crt"

    @cached_property
    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.authority)

    @property
    def ports(self) -> list[int]:
        """Where the proxy and the servers behind it listen."""
        return [self.port, self.http_port, self.health_port, self.websocket_port, *self.web_ports]

    def environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        return product.common_environment(variables) | {
            "HOME": str(self.folder),
            "DJANGO_SETTINGS_MODULE": "config.settings.production",
            "DJANGO_ALLOWED_HOSTS": "localhost",
            "SITE_URL": self.url,
        }

    def commands(self) -> dict[str, list[str]]:
        """Return the command line of every process by the name that its log lines carry, the proxy last."""
        webs = {
            f"web-{number}": product.script(SCRIPTS / "start", PORT=port)
            for number, port in enumerate(self.web_ports, 1)
        }
        return webs | {
            "websocket": product.script(SCRIPTS / "websocket" / "start", PORT=self.websocket_port),
            "announcer": product.script(SCRIPTS / "announcer" / "start"),
            "worker": product.script(SCRIPTS / "celery" / "worker" / "start"),
            "beat": product.script(SCRIPTS / "celery" / "beat" / "start", BEAT_SCHEDULE=self.folder / "beat-schedule"),
            "flower": product.script(SCRIPTS / "celery" / "flower" / "start", PORT=self.flower_port),
            "proxy": self.proxy_command(),
        }

    def proxy_command(self, caddyfile: Path = CADDYFILE) -> list[str]:
        variables = {
            # Nobody but this machine, and no authority among those that this machine trusts.
            "PROXY_OPTIONS": f"skip_install_trust\ndefault_bind {LOOPBACK}",
            "PROXY_HTTP_PORT": self.http_port,
            "PROXY_HTTPS_PORT": self.port,
            "PROXY_HEALTH_PORT": self.health_port,
            "STATIC_ROOT": STATIC_FILES,
            "WEB_REPLICAS": " ".join(["by_address", *(f"{LOOPBACK}:{port}" for port in self.web_ports)]),
            "WEBSOCKET_REPLICAS": f"by_address {LOOPBACK}:{self.websocket_port}",
        }
        assignments = (f"{name}={value}" for name, value in variables.items())
        return ["env", *assignments, "caddy", "run", "--config", str(caddyfile)]


def run_production(options: Options) -> None:
    """Run all of it in the foreground; UserError when a process ends by itself."""
    with prepared_stack(options, {"PRODUCTION_PORT": options.port}, command="make production") as stack:
        topology = Topology(stack.data_dir.production, options.port, flower_port=options.flower_port)
        topology.folder.mkdir(exist_ok=True)
        operator = {"CELERY_FLOWER_USER": OPERATOR, "CELERY_FLOWER_PASSWORD": PASSWORD}
        environment = topology.environment(stack.variables | operator)
        print("Collect static files", flush=True)
        product.manage("collectstatic", "--noinput", "--clear", "--verbosity=0", environment=environment)
        fill_database(stack, environment)
        text = product.announcement(topology.url, options) + _notes(topology)
        run_commands(stack, topology.commands(), environment, text, lambda: _answers(topology))


def _notes(topology: Topology) -> str:
    return f"""
  Flower asks for {OPERATOR} and the same password. The certificate is signed by an authority of this stack alone:
  browsers warn, and curl needs it: curl --cacert {topology.authority} {topology.url}/readyz
"""


def _answers(topology: Topology) -> bool:
    return topology.authority.exists() and product.page_answers(f"{topology.url}/readyz", tls=topology.tls)
