"""Methods made from the descriptions of requests keep their names, words and signatures."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


def described(method: F, make: Callable[..., Any]) -> F:
    """The method, to whoever reads its help, with the name, docstring and parameters of ``make``."""
    made = inspect.signature(make)
    receiver = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    method.__name__ = method.__qualname__ = make.__name__
    method.__doc__ = make.__doc__
    method.__signature__ = made.replace(parameters=[receiver, *made.parameters.values()])  # type: ignore[attr-defined]  # a function takes any attribute; inspect reads this one
    return method
