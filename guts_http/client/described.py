"""Methods made from the descriptions of requests keep their names, words and signatures."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

_RESULT = re.compile(r"(?:Call|Listing)\[(.*)\]")


def described(method: F, make: Callable[..., Any], returns: str = "{}") -> F:
    """The method with the name, docstring and parameters of ``make``; ``returns`` is what it makes of a result."""
    made = inspect.signature(make)
    result = _RESULT.fullmatch(str(made.return_annotation))
    receiver = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    shown = made.replace(
        parameters=[receiver, *made.parameters.values()],
        return_annotation=returns.format(result[1] if result else "Transaction").replace("results.", ""),
    )
    method.__name__ = method.__qualname__ = make.__name__
    method.__doc__ = make.__doc__
    method.__signature__ = shown  # type: ignore[attr-defined]  # a function takes any attribute; inspect reads this one
    return method
