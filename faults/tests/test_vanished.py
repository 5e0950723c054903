"""F22: a host fails, or a process hangs, without closing its connections to PostgreSQL."""

import signal
import sys
from pathlib import Path

import psutil
import pytest

from faults.stack import MANAGE
from helpdesk.testing import wait_until

from .conftest import check

TIMEOUT_SECONDS = 15
"""The timeouts of faults/settings.py, with a margin for a busy machine."""
HOLD_TICKET = """
import time
from django.db import transaction
from helpdesk.tickets.models import Ticket

with transaction.atomic():
    Ticket.objects.locked().get(pk={ticket_id})
    print("Locked", flush=True)
    time.sleep(600)
"""
KEEPALIVE_TIMER, LONGEST_JIFFIES = "02", 600
NO_TIMER = ("00", 0)


def test_f22_another_announcer_leads_when_the_leader_hangs(stack, workload):
    stack.second_announcer.start()
    stack.announcer.signal(signal.SIGSTOP)

    # As when its host fails, its connection and its lock remain.
    workload.wait_for_writes(5)
    workload.wait_until_delivered(seconds=TIMEOUT_SECONDS)
    stack.announcer.signal(signal.SIGCONT)

    check(workload)
    stack.second_announcer.stop()


def test_f22_the_lock_of_a_process_that_hangs_is_released(stack):
    with stack.client("customer_1") as customer, stack.client("agent_1") as agent:
        ticket = customer.post("/tickets/", json={"title": "Locked", "description": "D"}).json()
        holder = [*MANAGE, "shell", "--no-imports", "-c", HOLD_TICKET.format(ticket_id=ticket["id"])]
        hung = stack.create_program("hung", holder, lambda: "Locked" in hung.output())
        hung.start()
        hung.signal(signal.SIGSTOP)

        def is_written():
            return agent.patch(f"/tickets/{ticket['id']}/", json={"status": "closed"}).is_success

        wait_until(is_written, seconds=TIMEOUT_SECONDS, what="the ticket can be written")
        hung.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows a connection's timers")
def test_f22_every_connection_to_postgresql_has_keep_alive_timers(stack):
    port = int(stack.postgres.url.rpartition(":")[2].partition("/")[0])

    def timers_run():
        clients = {program.name: connections_of(program.pid, port) for program in stack.product_programs}
        timers = timers_by_ends()
        ends = [ends for own in clients.values() for (one, other) in own for ends in ((one, other), (other, one))]
        is_timed = all(
            timer == KEEPALIVE_TIMER and left <= LONGEST_JIFFIES
            for timer, left in [timers.get(each, NO_TIMER) for each in ends]
        )
        return is_timed and {name for name, own in clients.items() if own} >= {"web", "announcer", "worker"}

    # Meanwhile a worker has a connection; after each task it closes it.
    stack.script_mail({"holds": True})
    with stack.client("customer_1") as customer:
        customer.post("/tickets/", json={"title": "Slow", "description": "D"}).raise_for_status()
    wait_until(timers_run, seconds=TIMEOUT_SECONDS, what="both ends of each connection have a keep-alive timer")


def connections_of(pid, port):
    """Return the local and remote port of each connection of a program to a server."""
    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    connections = [each for process in processes for each in process.net_connections("tcp")]
    return {(each.laddr.port, each.raddr.port) for each in connections if each.raddr and each.raddr.port == port}


def timers_by_ends():
    """Return the timer and its remaining jiffies, by local and remote port (proc_net_tcp(5))."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {
        (port_in(row[1]), port_in(row[2])): (row[5].partition(":")[0], int(row[5].partition(":")[2], 16))
        for row in rows
    }


def port_in(address):
    return int(address.partition(":")[2], 16)
