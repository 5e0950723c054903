"""Celery's tasks for tickets."""

from helpdesk.core.cleanup import cleanup_task
from helpdesk.tickets import counts, search_index


@cleanup_task
def delete_unused_search_words() -> int:
    """Delete the words that no ticket contains any more; returns their number."""
    return search_index.delete_unused_words()


@cleanup_task
def fold_ticket_counts() -> None:
    """Keep the rows that count tickets few, so that reading them costs little."""
    counts.fold_counts()
