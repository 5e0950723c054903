"""What every test of the whole can ask for: the same as in helpdesk."""

from helpdesk.conftest import agent, api, customer, empty_cache, stranger, superuser, ticket

__all__ = ["agent", "api", "customer", "empty_cache", "stranger", "superuser", "ticket"]
