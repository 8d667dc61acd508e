"""Each fuzz target over its corpus, and over what hypothesis makes of it: no fuzzer is needed for that."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guts_core.errors import Invalid
from guts_core.git.refs import ref_name
from tests.fuzz.seeds import CORPUS, seeds

TARGETS = sorted(path.stem for path in Path(__file__).with_name("targets").glob("*.py") if path.stem != "__init__")
EXAMPLES = 150


def fuzz_of(target: str) -> Callable[[bytes], None]:
    """The function of a target."""
    found: Callable[[bytes], None] = import_module(f"tests.fuzz.targets.{target}").fuzz
    return found


def corpus_of(target: str) -> list[bytes]:
    """The committed inputs of a target, and the seeds in the form that formats have today."""
    committed = [path.read_bytes() for path in sorted((CORPUS / target).iterdir())]
    return [*dict.fromkeys([*committed, *seeds()[target]])]


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_holds_over_its_corpus(target: str) -> None:
    """Seeds, and what fuzzing once found."""
    inputs = corpus_of(target)
    assert inputs
    fuzz = fuzz_of(target)
    for data in [*inputs, b""]:
        fuzz(data)


def mutations(inputs: list[bytes]) -> st.SearchStrategy[bytes]:
    """Inputs cut, joined, with bytes changed, left out, doubled or put in; and any bytes at all."""
    some = st.sampled_from(inputs)
    at = st.floats(0, 1)

    def place(data: bytes, where: float) -> int:
        return int(where * len(data))

    cut = st.builds(lambda a, w: a[: place(a, w)], some, at)
    joined = st.builds(lambda a, b, w, v: a[: place(a, w)] + b[place(b, v) :], some, some, at, at)
    changed = st.builds(
        lambda a, w, new, gone: a[: place(a, w)] + new + a[place(a, w) + gone :],
        some,
        at,
        st.binary(max_size=9),
        st.integers(0, 9),
    )
    doubled = st.builds(lambda a, w: a[: place(a, w)] + a, some, at)
    return st.one_of(changed, joined, cut, doubled, st.binary(max_size=300))


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_holds_over_mutations_of_its_corpus(target: str) -> None:
    """Near misses find more than noise."""
    fuzz = fuzz_of(target)

    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(mutations(corpus_of(target)))
    def holds(data: bytes) -> None:
        fuzz(data)

    holds()


def test_git_itself_takes_every_ref_name_of_the_corpus_that_we_take(tmp_path: Path) -> None:
    """The oracle of the oracle: stock git, all names in one process."""
    taken = []
    for data in corpus_of("ref_name"):
        try:
            taken.append(ref_name(data.decode("utf-8", "surrogateescape")))
        except Invalid:
            continue
    assert taken
    git = ["git", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "-q", "--bare"], check=True)
    said = "".join(f"verify {name} {'0' * 40}\n" for name in taken)

    subprocess.run([*git, "update-ref", "--stdin"], input=said.encode(), check=True, capture_output=True)
