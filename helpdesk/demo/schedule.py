"""When demo tickets are opened and answered: mostly in working hours."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from random import Random

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
OPENING_HOUR, CLOSING_HOUR = 7, 20
SATURDAY = 5
NIGHT, EVENING, WORK = 0.03, 0.25, 1.0
WEEKEND_SHARE = 0.15


def opening_times(rng: Random, *, count: int, start: datetime, end: datetime) -> Iterator[datetime]:
    """Yield that many times between start and end, in ascending order, more of them in busy hours."""
    hours = [start + number * HOUR for number in range((end - start) // HOUR)]
    total = sum(map(activity, hours))
    passed, yielded = 0.0, 0
    for hour in hours:
        passed += activity(hour)
        due = round(count * passed / total)
        yield from (hour + offset * HOUR for offset in sorted(rng.random() for _ in range(due - yielded)))
        yielded = due


def activity(hour: datetime) -> float:
    """Return how many tickets are opened in an hour, relative to the busiest."""
    share = WORK if 8 <= hour.hour < 18 else EVENING if 6 <= hour.hour < 22 else NIGHT
    return share * (WEEKEND_SHARE if hour.weekday() >= SATURDAY else 1.0)


def step_times(waits: Iterable[timedelta], *, start: datetime, now: datetime) -> list[datetime]:
    """Return the time after each wait: in the daytime, unless the waits must be shortened to end by now."""
    waits, times, at = list(waits), [], start
    for wait in waits:
        at = moved_to_daytime(at + wait, wait)
        times.append(at)
    if at <= now:
        return times
    scale = (now - start) / sum(waits, timedelta())
    return [start := start + wait * scale for wait in waits]


def moved_to_daytime(time: datetime, wait: timedelta) -> datetime:
    """Return the time, or one in the next morning if it is at night."""
    if OPENING_HOUR <= time.hour < CLOSING_HOUR:
        return time
    midnight = time.replace(hour=0, minute=0, second=0, microsecond=0)
    day = DAY if time.hour >= CLOSING_HOUR else timedelta()
    return midnight + day + OPENING_HOUR * HOUR + wait % (2 * HOUR)
