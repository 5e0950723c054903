"""Age of the newest backup. The backup command touches BACKUP_STATUS_FILE."""

import time
from pathlib import Path

from django.conf import settings


def newest_backup_age_seconds() -> float | None:
    """Return the age of the newest backup, or the time since backups were set up; None without a status file."""
    try:
        modified_at = Path(settings.BACKUP_STATUS_FILE).stat().st_mtime
    except OSError:
        return None
    return round(max(0.0, time.time() - modified_at), 1)
