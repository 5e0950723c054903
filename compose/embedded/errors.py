"""Errors of the embedded stack."""


class UserError(Exception):
    """A reason not to go on, shown to the user in one line and without a trace."""
