from django.db.models import Q, QuerySet
from django_filters.rest_framework import ChoiceFilter

from helpdesk.core.fields import BooleanFilter, Filters, TextFilter
from helpdesk.users.models import Role, User


class UserFilter(Filters):
    role = ChoiceFilter(choices=Role.choices)
    is_active = BooleanFilter()
    search = TextFilter(
        method="matching",
        max_length=100,
        help_text="Part of the username, name or e-mail address, whatever the case.",
    )

    class Meta:
        model = User
        fields = ["role", "is_active"]

    def matching(self, users: QuerySet[User], _name: str, text: str) -> QuerySet[User]:
        return users.filter(Q(username__icontains=text) | Q(name__icontains=text) | Q(email__icontains=text))
