"""What users announces to the apps above it."""

from django.dispatch import Signal

registration_requested = Signal()
"""Sent inside a transaction with `registration`, whose address wants a link to confirm it."""

address_change_requested = Signal()
"""Sent inside a transaction with `change`, whose address wants a link to confirm it, and the present one a notice."""

password_reset_requested = Signal()
"""Sent inside a transaction with `email`, an address that perhaps nobody has, and `language`."""

user_changed = Signal()
"""Sent inside the transaction that saved a user, with `user`, `by`, who did it, and `changed`, the names of the fields that
have other values now; none for a new user."""

tokens_revoked = Signal()
"""Sent inside the transaction that ended some or all tokens of a user, with `user_id`: a new password, a logout."""
