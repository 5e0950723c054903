"""What tickets announces to the apps above it."""

from django.dispatch import Signal

ticket_events_committed = Signal()
"""Sent by the announcer with `events`, a list of committed TicketEvents: every one, once, in order.

Receivers run inside the announcer's transaction: they write rows, with a number of queries that does not grow with the
number of events, and leave the rest to after_commit.
"""
