"""Programs that some tests drive and that not every machine has: CI installs them and takes no excuse."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest


def program(name: str, package: str) -> str:
    """The path of a program; without it the test is skipped, and under CI it fails."""
    # Servers live where only root looks by default.
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if found is None:
        lacking(f"this test needs {name}: sudo apt install {package}")
    return found


def lacking(words: str) -> NoReturn:
    """End a test for lack of what is named: skipped, and under CI failed."""
    if os.environ.get("CI"):
        pytest.fail(words)
    pytest.skip(words)
