"""`make production`: the processes of docker-compose.production.yml on this machine, behind the proxy.

They are the start scripts of the images and the proxy's own configuration; variables say where things are.
"""

import ssl
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from compose.embedded.options import ROOT
from compose.embedded.ports import LOOPBACK, free_port
from compose.embedded.product import common_environment, manage, page_answers, script
from helpdesk.demo import PASSWORD

SCRIPTS = ROOT / "compose" / "production" / "django"
CADDYFILE = ROOT / "compose" / "production" / "proxy" / "Caddyfile"
STATIC_FILES = ROOT / "staticfiles"
# The user of Flower, where everybody has one known password.
OPERATOR = "admin"


class ProductionTopology:
    """The processes of `make production`, and where they listen; the proxy keeps its certificates in `folder`."""

    port_variable = "PRODUCTION_PORT"

    def __init__(self, folder: Path, port: int, *, flower_port: int | None = None, webs: int = 2) -> None:
        self.folder = folder
        self.port = port
        self.flower_port = flower_port or free_port()
        self.http_port, self.health_port, self.websocket_port = (free_port() for _ in range(3))
        self.web_ports = [free_port() for _ in range(webs)]
        self.url = f"https://localhost:{port}"
        # The certificate of the proxy's own authority, which exists once the proxy has started.
        self.authority = folder / ".local" / "share" / "caddy" / "pki" / "authorities" / "local" / "root.crt"
        self.notes = f"""
  Flower asks for {OPERATOR} and the same password. The certificate is signed by an authority of this stack alone:
  browsers warn, and curl needs it: curl --cacert {self.authority} {self.url}/readyz
"""

    @cached_property
    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.authority)

    def environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        return common_environment(variables) | {
            "HOME": str(self.folder),
            "DJANGO_SETTINGS_MODULE": "config.settings.production",
            "DJANGO_ALLOWED_HOSTS": "localhost",
            "SITE_URL": self.url,
            "CELERY_FLOWER_USER": OPERATOR,
            "CELERY_FLOWER_PASSWORD": PASSWORD,
        }

    def prepare(self, environment: Mapping[str, str]) -> None:
        self.folder.mkdir(exist_ok=True)
        print("Collect static files", flush=True)
        manage("collectstatic", "--noinput", "--clear", "--verbosity=0", environment=environment)

    def commands(self) -> dict[str, list[str]]:
        """Return the command line of every process by the name that its log lines carry, the proxy last."""
        webs = {f"web-{number}": script(SCRIPTS / "start", PORT=port) for number, port in enumerate(self.web_ports, 1)}
        return webs | {
            "websocket": script(SCRIPTS / "websocket" / "start", PORT=self.websocket_port),
            "announcer": script(SCRIPTS / "announcer" / "start"),
            "worker": script(SCRIPTS / "celery" / "worker" / "start"),
            "beat": script(SCRIPTS / "celery" / "beat" / "start", BEAT_SCHEDULE=self.folder / "beat-schedule"),
            "flower": script(SCRIPTS / "celery" / "flower" / "start", PORT=self.flower_port),
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

    def answers(self) -> bool:
        return self.authority.exists() and page_answers(f"{self.url}/readyz", tls=self.tls)
