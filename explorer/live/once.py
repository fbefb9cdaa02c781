"""What is worked out at its first use and kept, by whichever thread comes first."""

import threading
from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar, overload

T = TypeVar("T")


class once(Generic[T]):  # noqa: N801 - a decorator, as cached_property is
    """As functools.cached_property, but other threads wait for the first one's result.

    Each property of each object has a lock of its own: what needs torch does not hold up the rest.
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self._compute = compute
        self._name = compute.__name__
        self.__doc__ = compute.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object | None, owner: type) -> Self | T:
        if instance is None:
            return self
        kept = instance.__dict__
        # setdefault is atomic, and what stands in __dict__ is found there before we are asked.
        with kept.setdefault(f"_{self._name}_lock", threading.RLock()):
            if self._name not in kept:
                kept[self._name] = self._compute(instance)
        found: T = kept[self._name]
        return found
