"""The shape of e-mail preferences."""

from typing import Any

from rest_framework import serializers

from helpdesk.core.fields import TruthField


class EmailPreferencesSerializer(serializers.Serializer[Any]):
    ticket_created = TruthField(help_text="Agents: a new ticket.")
    status_changed = TruthField(help_text="The status of a ticket of mine has changed.")
    comment_added = TruthField(help_text="Somebody has commented on a ticket of mine, or assigned to me.")
