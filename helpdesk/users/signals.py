"""Signals of the users app; each is sent inside the transaction of the change."""

from django.dispatch import Signal

registration_requested = Signal()
"""Sent with `registration`, whose address needs a confirmation link."""

address_change_requested = Signal()
"""Sent with `change`, whose new address needs a confirmation link and whose user's current address a notice."""

password_reset_requested = Signal()
"""Sent with `email`, an address that may have no account, and `language`."""

user_changed = Signal()
"""Sent with `user`, `by`, the user who made the change, and `changed`, a frozenset of the names of the changed fields,
empty for a new user."""

tokens_revoked = Signal()
"""Sent with `user_id` when some or all tokens of a user were revoked, as by a logout or a new password."""
