"""Shows how far a long command has come: a bar on a terminal, a line for every tenth otherwise."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.core.management.base import OutputWrapper
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Advance = Callable[[int], None]


@contextmanager
def progress(what: str, *, total: int, stream: OutputWrapper) -> Iterator[Advance]:
    """Give a function that is told how many more are done."""
    if not stream.isatty():
        yield lines(what, total=total, stream=stream)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # Not to the stream: a management command's adds a line break to everything.
    with Progress(*columns, console=Console()) as bar:
        task = bar.add_task(what, total=total)
        yield lambda count: bar.advance(task, count)


def lines(what: str, *, total: int, stream: OutputWrapper) -> Advance:
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        tenths, done = done * 10 // total, done + count
        if done * 10 // total > tenths:
            stream.write(f"{done:,} of {total:,} {what}")
            stream.flush()

    return advance
