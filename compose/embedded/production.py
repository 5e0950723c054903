"""`make production`: the topology of production on this machine, behind the proxy, until Ctrl-C."""

import os

from compose.embedded.announcement import announcement, page_answers
from compose.embedded.demo import DEMO_PASSWORD
from compose.embedded.image import make_image
from compose.embedded.options import Options
from compose.embedded.ports import LOOPBACK
from compose.embedded.progress import step
from compose.embedded.stack import Ground, fill_database, prepared_ground, run_product
from compose.embedded.topology import Topology

# Who may look at Flower, here where the password of everybody is known.
OPERATOR = "admin"


def run_production(options: Options) -> None:
    """Run all of it in the foreground; a process that ends by itself is a refusal that names it."""
    with prepared_ground(options, {"PRODUCTION_PORT": options.port}, command="make production") as ground:
        folder = ground.data_dir.production
        topology = Topology(image=folder / "image", folder=folder, port=options.port, flower_port=options.flower_port)
        with step("Make what the images get"):
            make_image(topology.image)
            topology.write_proxy_configuration()
        environment = topology.environment(_variables(ground))
        fill_database(ground, environment)
        text = announcement(topology.url, options) + _notes(topology)
        run_product(ground, topology.commands(), environment, text, lambda: _answers(topology))


def _variables(ground: Ground) -> dict[str, str]:
    return {
        "CELERY_FLOWER_USER": OPERATOR,
        "CELERY_FLOWER_PASSWORD": DEMO_PASSWORD,
        **os.environ,
        **ground.servers.variables,
        "EMAIL_HOST": LOOPBACK,
        "EMAIL_PORT": str(ground.smtp_port),
    }


def _notes(topology: Topology) -> str:
    return f"""
  Flower asks for {OPERATOR} and the same password. The certificate is of an authority that only this stack knows:
  browsers warn, and others are told of it: curl --cacert {topology.authority} {topology.url}/readyz
"""


def _answers(topology: Topology) -> bool:
    return topology.authority.exists() and page_answers(topology.port, "/readyz", tls=topology.tls)
