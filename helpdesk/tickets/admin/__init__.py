"""The admin pages on which agents work."""

from helpdesk.tickets.admin.comments import CommentAdmin
from helpdesk.tickets.admin.events import TicketEventAdmin
from helpdesk.tickets.admin.tickets import TicketAdmin

__all__ = ["CommentAdmin", "TicketAdmin", "TicketEventAdmin"]
