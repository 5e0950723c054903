"""Celery's tasks for tickets."""

from helpdesk.core.cleanup import cleanup_task
from helpdesk.tickets import search_index


@cleanup_task
def delete_unused_search_words() -> int:
    """Delete the words that no ticket contains any more; returns their number."""
    return search_index.delete_unused_words()
