"""Time as PostgreSQL stores it: whole microseconds, counted from the year 2000."""

from datetime import UTC, datetime, timedelta

Moment = int
Duration = int

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
SECOND: Duration = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def moment_of(time: datetime) -> Moment:
    return (time - EPOCH) // timedelta(microseconds=1)


def datetime_of(moment: Moment) -> datetime:
    return EPOCH + timedelta(microseconds=moment)
