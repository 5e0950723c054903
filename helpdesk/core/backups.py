"""How old the newest backup is, where backups are set up: the command that makes them touches BACKUP_STATUS_FILE."""

import time
from pathlib import Path

from django.conf import settings


def newest_backup_age_seconds() -> float | None:
    """Return the time since the newest backup was made, or since backups were set up; None for no status file."""
    try:
        made_at = Path(settings.BACKUP_STATUS_FILE).stat().st_mtime
    except OSError:
        return None
    return round(max(0.0, time.time() - made_at), 1)
