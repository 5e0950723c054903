"""The topology of docker-compose.production.yml on one machine: the images' own scripts and the proxy's own configuration.

All that differs is where things are: addresses, ports and folders.
"""

import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from string import Template

from compose.embedded.image import BIN
from compose.embedded.ports import LOOPBACK, free_port

WEB_REPLICAS = 2
REPLICAS_BY_NAME = """\
	dynamic a {
		name {args[0]}
		port {args[1]}
		refresh 2s
		# Where the servers listen; an address where none does would always have the fewest connections.
		versions ipv4
	}
"""
REPLICA = Template("\t\t\t\ta $address $port {\n\t\t\t\t\trefresh 2s\n\t\t\t\t}\n")


@dataclass(frozen=True, kw_only=True)
class Topology:
    """Where everything is; `image` is made by make_image, and the proxy keeps its certificates in `folder`."""

    image: Path
    folder: Path
    port: int
    flower_port: int = field(default_factory=free_port)
    http_port: int = field(default_factory=free_port)
    health_port: int = field(default_factory=free_port)
    websocket_port: int = field(default_factory=free_port)
    web_ports: tuple[int, ...] = field(default_factory=lambda: tuple(free_port() for _ in range(WEB_REPLICAS)))

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    @property
    def authority(self) -> Path:
        """The certificate of the proxy's own authority, which it makes when it starts for the first time."""
        return self.folder / ".local" / "share" / "caddy" / "pki" / "authorities" / "local" / "root.crt"

    @cached_property
    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.authority)

    @property
    def ports(self) -> list[int]:
        """Where the proxy and the servers behind it listen."""
        return [self.port, self.http_port, self.health_port, self.websocket_port, *self.web_ports]

    def environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        return {
            **variables,
            "PATH": f"{BIN}:{variables['PATH']}",
            "HOME": str(self.folder),
            "DJANGO_SETTINGS_MODULE": "config.settings.production",
            "DJANGO_ALLOWED_HOSTS": "localhost",
            "SITE_URL": self.url,
            "PYTHONUNBUFFERED": "1",
            # In a container of the image nothing runs as root.
            "PYTHONWARNINGS": "ignore:You're running the worker",
        }

    def commands(self) -> dict[str, list[str]]:
        """Return the command line of every process, the proxy last, by names that log lines can carry."""
        webs = {
            f"web-{number}": self._script("start", {"8000": port, "0.0.0.0": LOOPBACK})
            for number, port in enumerate(self.web_ports, start=1)
        }
        return webs | {
            "websocket": self._script("start-websocket", {"8001": self.websocket_port, "0.0.0.0": LOOPBACK}),
            "announcer": self._script("start-announcer"),
            "worker": self._script("start-celeryworker"),
            "beat": self._script("start-celerybeat", {"/tmp/beat-schedule": self.folder / "beat-schedule"}),
            "flower": self._script("start-flower", {"5555": self.flower_port, "0.0.0.0": LOOPBACK}),
            "proxy": [str(BIN / "caddy"), "run", "--config", str(self.folder / "Caddyfile")],
        }

    def write_proxy_configuration(self, other_values: Mapping[str, object] | None = None) -> None:
        text = (self.image / "etc" / "caddy" / "Caddyfile").read_text()
        own = {
            # Nobody but this machine, and no authority among those that this machine trusts.
            "admin off": f"admin off\n\tskip_install_trust\n\tdefault_bind {LOOPBACK}",
            "http_port 8080": f"http_port {self.http_port}",
            "https_port 8443": f"https_port {self.port}",
            ":2020": f":{self.health_port}",
            "/srv/static": self.image / "app" / "staticfiles",
            REPLICAS_BY_NAME: "",
            "import replicas web": f"{_replicas(self.web_ports)}\t\t\timport replicas web",
            "import replicas websocket": f"{_replicas([self.websocket_port])}\t\t\timport replicas websocket",
        }
        self.folder.mkdir(exist_ok=True)
        (self.folder / "Caddyfile").write_text(moved(text, own | dict(other_values or {})))

    def _script(self, name: str, replacements: Mapping[str, object] | None = None) -> list[str]:
        text = moved((self.image / name).read_text(), replacements or {})
        return ["bash", "-c", f"cd '{self.image / 'app'}'\n{text}"]


def moved(text: str, replacements: Mapping[str, object]) -> str:
    """Return a text with other values in it; each has to be there."""
    for old, new in replacements.items():
        if old not in text:
            raise ValueError(f"There is no {old!r} in {text!r}.")
        text = text.replace(old, str(new))
    return text


def _replicas(ports: Iterable[int]) -> str:
    listed = "".join(REPLICA.substitute(address=LOOPBACK, port=port) for port in ports)
    return f"dynamic multi {{\n{listed}\t\t\t}}\n"
