"""Chance that repeats itself for the same seed."""

from collections.abc import Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """A few draws made of Random.random() alone, which is several times faster than Random.choice()."""

    def __init__(self, seed: int) -> None:
        self.roll = Random(seed).random  # noqa: S311 -- nothing secret

    def choose(self, values: Sequence[T]) -> T:
        return values[int(self.roll() * len(values))]

    def happens(self, probability: float) -> bool:
        return self.roll() < probability

    def shuffled(self, values: Sequence[T]) -> list[T]:
        return sorted(values, key=lambda _value: self.roll())
