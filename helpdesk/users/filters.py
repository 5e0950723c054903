from django.db.models import Q, QuerySet
from django_filters import rest_framework as django_filters

from helpdesk.users.models import Role, User


class UserFilter(django_filters.FilterSet):
    role = django_filters.ChoiceFilter(choices=Role.choices)
    is_active = django_filters.BooleanFilter()
    search = django_filters.CharFilter(
        method="matching",
        max_length=100,
        help_text="Part of the username, name or e-mail address, whatever the case.",
    )

    class Meta:
        model = User
        fields = ["role", "is_active"]

    def matching(self, users: QuerySet[User], _name: str, text: str) -> QuerySet[User]:
        return users.filter(Q(username__icontains=text) | Q(name__icontains=text) | Q(email__icontains=text))
