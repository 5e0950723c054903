"""What `watchfiles` restarts the processes of a developer's stack for."""

from typing import Any

from watchfiles import PythonFilter


class SourceFilter(PythonFilter):
    """Python modules and templates."""

    def __init__(self, **options: Any) -> None:
        super().__init__(extra_extensions=(".html", ".txt"), **options)
