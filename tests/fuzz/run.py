"""
One target under atheris: ``make fuzz T=name M=minutes``.

What it finds is written to ``.fuzz/<name>/`` and repeated at the end; a finding that is mended moves into
``tests/fuzz/corpus/<name>/``. New inputs that only reach new code stay in ``.fuzz/<name>/corpus``.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
# A parser that needs more for one input of a few hundred bytes is what we look for.
SECONDS_AN_INPUT_MAX = 5
MEMORY_MB_MAX = 2048
INPUT_BYTES_MAX = 8192


def main(name: str, minutes: str) -> None:
    """Fuzz until the time is over; ends the process with another code than 0 for a finding."""
    import atheris  # type: ignore[import-untyped,import-not-found,unused-ignore]  # by make fuzz alone

    with atheris.instrument_imports(include=["guts_core", "guts_net", "guts_http", "guts_cli"]):
        fuzz = import_module(f"tests.fuzz.targets.{name}").fuzz
    found = Path(".fuzz") / name
    (found / "corpus").mkdir(parents=True, exist_ok=True)
    options = [
        f"-max_total_time={round(float(minutes) * 60)}",
        f"-timeout={SECONDS_AN_INPUT_MAX}",
        f"-rss_limit_mb={MEMORY_MB_MAX}",
        f"-max_len={INPUT_BYTES_MAX}",
        f"-artifact_prefix={found}/",
        "-print_final_stats=1",
    ]
    words = HERE / "targets" / f"{name}.dict"
    if words.exists():
        options.append(f"-dict={words}")
    atheris.Setup([sys.argv[0], *options, str(found / "corpus"), str(CORPUS / name)], fuzz)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:3])
