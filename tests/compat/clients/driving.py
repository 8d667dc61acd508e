"""
The command line that every driver here has, whatever client and language it is written in.

``version``                     the client's version
``ls URL``                      lines ``OID REF``
``clone URL DIR [DEPTH]``       a copy with a work tree; remote ``origin``
``partial URL DIR FILTER``      a copy without what the filter leaves out
``fetch DIR``                   what is new at ``origin``, with new tags
``commit DIR PATH``             commits a file that lies there, prints ``OID``
``push DIR URL REFSPEC...``     moves refs: ``SRC:DST`` by full names, ``:DST`` deletes, ``+`` forces

``push`` heeds ``GUTS_PUSH_OPTION`` (one option to send) and ``GUTS_PUSH_ATOMIC`` (not empty: all refs or none).

The environment has the user and the token: ``GUTS_USER``, ``GUTS_TOKEN`` (empty: nobody). Exit code 0: done; 1:
refused or failed, with the client's own words on standard error; 3: the client cannot do that, with words.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping

REFUSED, CANNOT = 1, 3
USER = os.environ.get("GUTS_USER", "nobody")
OPTION, IS_ATOMIC = os.environ.get("GUTS_PUSH_OPTION", ""), bool(os.environ.get("GUTS_PUSH_ATOMIC"))
TOKEN = os.environ.get("GUTS_TOKEN", "")

VERBS = ("version", "ls", "clone", "partial", "fetch", "commit", "push")


class CannotError(Exception):
    """The client has no way to do that."""


def drive(driver: Mapping[str, Callable[..., None]]) -> None:
    """Run the command that this process was started with, one of the functions that a driver's module has for them."""
    verb, *words = sys.argv[1:]
    try:
        {name: driver[name] for name in VERBS}[verb](*words)
    except CannotError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(CANNOT)
    except Exception as error:  # noqa: BLE001 -- whatever the client raises is what its users see
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        sys.exit(REFUSED)


def say(text: str) -> None:
    """A line of the answer."""
    sys.stdout.write(f"{text}\n")
