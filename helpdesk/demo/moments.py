"""Time as PostgreSQL stores it: whole microseconds, counted from the year 2000."""

from datetime import UTC, datetime, timedelta

Moment = int
Duration = int

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
SECOND: Duration = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
MORNING, EVENING = 7 * HOUR, 20 * HOUR


def moment_of(time: datetime) -> Moment:
    return (time - EPOCH) // timedelta(microseconds=1)


def datetime_of(moment: Moment) -> datetime:
    return EPOCH + timedelta(microseconds=moment)


def by_day(moment: Moment, wait: Duration) -> Moment:
    """Return the moment after a wait, moved to the next morning from a night."""
    later = moment + wait
    midnight, time_of_day = later - later % DAY, later % DAY
    if MORNING <= time_of_day < EVENING:
        return later
    return midnight + MORNING + (DAY if time_of_day >= EVENING else 0) + wait % (2 * HOUR)
