from functools import reduce
from operator import or_

from django.db.models import Q, QuerySet
from django_filters.rest_framework import ChoiceFilter

from helpdesk.core.lists import BooleanFilter, Filters, TextFilter
from helpdesk.users.models import Role, User

# unaccent removes accents, composed or not, and strokes. No index: users are some tens of thousands.
SEARCH_FIELDS = ["username__unaccent", "name__unaccent", "email__unaccent"]


class UserFilter(Filters):
    role = ChoiceFilter(choices=Role.choices)
    is_active = BooleanFilter()
    search = TextFilter(
        method="filter_search",
        max_length=100,
        help_text="Part of the username, name or e-mail address; case and accents are ignored.",
    )

    class Meta:
        model = User
        fields = ["role", "is_active"]

    def filter_search(self, users: QuerySet[User], _name: str, text: str) -> QuerySet[User]:
        fields = [Q(**{f"{field}__icontains": text}) for field in SEARCH_FIELDS]
        return users.filter(reduce(or_, fields))
