"""Forms of the admin page of a ticket."""

from typing import Any

from django import forms
from django.db.models import Q

from helpdesk.core.admin import LinesField, VisibleField
from helpdesk.tickets.actions import CHANGEABLE_FIELDS
from helpdesk.tickets.models import Comment, Ticket
from helpdesk.users.models import User


class TicketForm(forms.ModelForm[Ticket]):
    class Meta:
        model = Ticket
        fields = list(CHANGEABLE_FIELDS)
        field_classes = {"title": VisibleField, "description": LinesField}
        widgets = {"title": forms.TextInput(attrs={"class": "vLargeTextField"})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "assigned_to" in self.fields:
            may_stay = Q(pk=self.instance.assigned_to_id)
            agents = User.objects.agents().filter(Q(is_active=True) | may_stay).order_by("username")
            self.fields["assigned_to"].queryset = agents  # type: ignore[attr-defined] # a ModelChoiceField


class CommentForm(forms.ModelForm[Comment]):
    class Meta:
        model = Comment
        fields = ["content"]
        field_classes = {"content": LinesField}
