from django.db.models import QuerySet

from helpdesk.core.lists import BooleanFilter, Filters, IdFilter
from helpdesk.notifications.models import Notification, NotificationQuerySet


class NotificationFilter(Filters):
    unread = BooleanFilter(method="only_unread", help_text="true: unread notifications; false: read ones.")
    after_seq = IdFilter(minimum=0, method="after", help_text="Notifications after this number, oldest first.")

    class Meta:
        model = Notification
        fields: list[str] = []

    def only_unread(self, mine: NotificationQuerySet, _name: str, is_unread: bool) -> QuerySet[Notification]:  # noqa: FBT001
        return mine.filter(read_at__isnull=is_unread)

    def after(self, mine: NotificationQuerySet, _name: str, value: int) -> QuerySet[Notification]:
        return mine.after(value).order_by("seq")
