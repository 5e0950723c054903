"""What tickets announces to the apps above it."""

from django.dispatch import Signal

ticket_event_announced = Signal()
"""Sent by the announcer with `event`, a committed TicketEvent: every one, once, in order.

Receivers run inside the announcer's transaction: they write rows, and leave the rest for after_commit.
"""
