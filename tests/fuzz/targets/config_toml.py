"""A node's configuration file."""

from __future__ import annotations

import atexit
import os
import tempfile
from pathlib import Path

from guts_cli.config import BadConfiguration, config_text, load

_descriptor, _name = tempfile.mkstemp(suffix=".toml")
os.close(_descriptor)
_PATH = Path(_name)
atexit.register(_PATH.unlink, missing_ok=True)


def fuzz(data: bytes) -> None:
    """Refused with a line for each thing that is wrong, or a configuration that is written and read as the same."""
    _PATH.write_bytes(data)
    try:
        loaded = load(_PATH, {})
    except BadConfiguration as refusal:
        problems = refusal.problems
        assert problems
        return
    _PATH.write_text(config_text(loaded.config, list(loaded.origins)), encoding="utf-8")
    assert load(_PATH, {}).config == loaded.config
