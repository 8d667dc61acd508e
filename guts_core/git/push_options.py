"""
What ``git push -o`` may say: ``private``, names that are kept for later, and everything else, which does nothing.

An option is data and never more (``reliability.md`` B04). Names under a reserved prefix are refused, so
that nobody believes that a pull request was opened, and none of them ever gets a second meaning.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from guts_core.errors import Invalid

# Their meaning is settled and comes with the features that they belong to.
RESERVED = ("pr.", "review.", "guts.")
_PRIVATE = {"private": True, "private=true": True, "private=false": False}
_SHOWN_CHARS = 60


@frozen
class PushOptions:
    """What was asked for, and what has to be said about the rest of it."""

    private: bool = False
    remarks: tuple[str, ...] = ()


def read_options(options: Iterable[str], *, creates: bool) -> PushOptions:
    """Read the options of a push that creates its repository, or does not; raises Invalid with words."""
    private, remarks = False, []
    for option in options:
        name = option.partition("=")[0]
        if name.startswith(RESERVED):
            raise Invalid(
                f"push option {_shown(name)} is reserved: nothing here can do it yet; push without it"
                + (", and open the pull request afterwards" if name.startswith("pr.") else "")
            )
        if name != "private":
            remarks.append(f"push option {_shown(option)} is not known here and does nothing")
        elif option not in _PRIVATE:
            raise Invalid(f"push option {_shown(option)}: say private, private=true or private=false")
        elif creates:
            private = _PRIVATE[option]
        else:
            remarks.append(f"push option {_shown(option)} does nothing: the repository is there already")
    return PushOptions(private, tuple(remarks))


def _shown(text: str) -> str:
    shown = ascii(text)
    return shown if len(shown) <= _SHOWN_CHARS else f"{shown[:_SHOWN_CHARS]}..."
