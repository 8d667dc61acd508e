"""Programs that some tests drive and that not every machine has: CI installs them and takes no excuse."""

from __future__ import annotations

import os
import shutil

import pytest


def program(name: str, package: str) -> str:
    """The path of a program; without it the test is skipped, and under CI it fails."""
    # Servers live where only root looks by default.
    found = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if found is None:
        words = f"this test needs {name}: sudo apt install {package}"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(words)
    return found
