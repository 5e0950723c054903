"""When tickets are opened: in the hours of work, hardly at night."""

from collections.abc import Iterator
from datetime import datetime

from helpdesk.demo.dice import Dice
from helpdesk.demo.moments import HOUR, Moment, datetime_of

SATURDAY = 5
NIGHT, EVENING, WORK = 0.03, 0.25, 1.0
WEEKEND_SHARE = 0.15


def arrivals(dice: Dice, *, count: int, start: Moment, end: Moment) -> Iterator[Moment]:
    """Yield that many moments between start and end, in ascending order."""
    hours = (end - start) // HOUR
    weights = [liveliness(datetime_of(start + hour * HOUR)) for hour in range(hours)]
    total = sum(weights)
    hour, passed = 0, 0.0
    for number in range(count):
        position = (number + dice.roll()) / count * total
        while hour < hours - 1 and passed + weights[hour] < position:
            passed += weights[hour]
            hour += 1
        yield start + int((hour + min(1.0, (position - passed) / weights[hour])) * HOUR)


def liveliness(moment: datetime) -> float:
    """Return how many tickets an hour brings, compared with the busiest."""
    share = WORK if 8 <= moment.hour < 18 else EVENING if 6 <= moment.hour < 22 else NIGHT  # noqa: PLR2004 -- o'clock
    return share * (WEEKEND_SHARE if moment.weekday() >= SATURDAY else 1.0)
