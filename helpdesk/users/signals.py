"""What users announces to the apps above it."""

from django.dispatch import Signal

user_changed = Signal()
"""Sent inside the transaction that saved a user, with `user` and `by`, who did it."""

tokens_revoked = Signal()
"""Sent inside the transaction that ended some or all tokens of a user, with `user_id`: a new password, a logout."""
