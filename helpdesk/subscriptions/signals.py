"""What subscriptions announces to the apps that deliver notifications."""

from django.dispatch import Signal

ticket_events_announced = Signal()
"""Sent with `announcements`, a list of at least one Announcement: each committed event that has recipients, once, in order.

Receivers run inside the announcer's transaction: they write rows, with a number of queries that does not grow with the
number of events, and leave the rest to after_commit.
"""
