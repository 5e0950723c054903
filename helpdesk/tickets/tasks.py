"""Celery's tasks for tickets."""

from helpdesk.core.cleanup import cleanup_task
from helpdesk.tickets import search


@cleanup_task
def delete_unused_search_words() -> int:
    """Delete the words that no ticket has any more; returns how many."""
    return search.delete_unused_words()
