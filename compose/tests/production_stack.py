"""The topology of production as real processes behind the proxy, for what faults/ brings to a stack."""

import ssl
from contextlib import suppress
from http import HTTPStatus

import httpx

from compose.embedded.ports import LOOPBACK, answers, free_port
from compose.embedded.production import ProductionTopology
from faults.stack import FaultStack

# Those of a container.
WORKERS = 2
# As the proxy asks; production refuses other hosts, and redirects what did not come over HTTPS.
AS_THE_PROXY = {"Host": "localhost", "X-Forwarded-Proto": "https"}
FOR_A_LOAD = {
    "THROTTLE_USER_RATE": "1000000/minute",
    "THROTTLE_ANON_RATE": "1000000/minute",
    "THROTTLE_LOGIN_RATE": "",
    "THROTTLE_TICKET_RATE": "",
    "THROTTLE_COMMENT_RATE": "",
}


def socket_tls(behind):
    """Return what websockets.sync needs, which reads a connection in one thread and writes it in another: TLS 1.2.

    OpenSSL loses what is written while it reads what TLS 1.3 sends after its handshake (python/cpython#143756).
    """
    context = ssl.create_default_context(cafile=behind.authority)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


class ProductionStack(FaultStack):
    """With production's settings and times, and a limit of requests that a test's load does not reach."""

    def __init__(self, folder):
        self.topology = ProductionTopology(folder / "production", free_port())
        self.topology.folder.mkdir()
        self.url = self.site_url = self.topology.url
        self.plain_site = f"http://localhost:{self.topology.http_port}"
        super().__init__(folder, environment=self.topology.environment(FOR_A_LOAD))

    def create_product_programs(self):
        commands = self.topology.commands()
        ports = {f"web-{number}": port for number, port in enumerate(self.topology.web_ports, start=1)}
        self.webs = [
            self.create_program(name, commands[name], lambda port=port: self.is_alive(port))
            for name, port in ports.items()
        ]
        self.websocket = self.create_program(
            "websocket", commands["websocket"], lambda: answers(self.topology.websocket_port)
        )
        self.announcer = self.create_program("announcer", commands["announcer"], self.has_leader)
        self.worker = self.create_program(
            "worker", commands["worker"], lambda: self.worker.output().count(" ready.") == WORKERS
        )
        self.beat = self.create_program("beat", commands["beat"], lambda: True)
        self.proxy = self.create_program(
            "proxy", commands["proxy"], lambda: self.topology.authority.exists() and self.ready()
        )
        return [*self.webs, self.websocket, self.announcer, self.worker, self.beat, self.proxy]

    @property
    def tls(self):
        return self.topology.tls

    @property
    def socket_tls(self):
        return socket_tls(self.topology)

    def is_alive(self, port):
        with suppress(httpx.TransportError):
            return httpx.get(f"http://{LOOPBACK}:{port}/livez", headers=AS_THE_PROXY).status_code == HTTPStatus.OK
        return False

    def ready(self):
        return answers(self.topology.port) and self.web_answers()
