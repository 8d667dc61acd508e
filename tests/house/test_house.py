"""What holds for the tree as a whole."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import click
import pytest

from guts_cli.main import ROOT
from tests.conftest import AllowedSkip, SkipGate, allowed_skips

TREE = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
MODULE_LINES_MAX = 400
# No entry of the allow-list may outlive a quarter: what is skipped longer is deleted or mended.
SKIP_DAYS_MAX = 92
# Written in pieces, so that this file does not contain what it looks for.
MACHINE_PATHS = tuple(f"/{name}/" for name in ("work", "farm", "root"))
HEAVY = {"trio", "quart", "httpx", "rich", "dulwich", "cattrs"}
# Grown past the limit before it was checked, and to be parted; nothing new comes in, none grows.
STILL_LARGE: dict[str, int] = {}


def tracked(pattern: str = "*") -> list[Path]:
    """Files of the tree, as git knows them, that exist."""
    found = subprocess.run(["git", "ls-files", "-z", pattern], cwd=TREE, capture_output=True, check=True).stdout
    return [path for name in found.decode().split("\0") if name and (path := TREE / name).is_file()]


def test_import_contracts_hold() -> None:
    """The floors and rooms of the house are what keeps the core deterministic."""
    run = subprocess.run([BIN / "lint-imports"], cwd=TREE, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stdout + run.stderr


def test_modules_stay_small() -> None:
    """One idea a module: what grows past the limit is two ideas."""
    sizes = {str(path.relative_to(TREE)): len(path.read_text().splitlines()) for path in tracked("*.py")}
    source = {path: lines for path, lines in sizes.items() if not path.startswith("tests/")}

    assert {path: n for path, n in source.items() if n > STILL_LARGE.get(path, MODULE_LINES_MAX)} == {}


def test_no_file_names_a_path_of_one_machine() -> None:
    """What is written here must be true on the reader's machine."""
    found = [
        f"{path.relative_to(TREE)}: {place}"
        for path in tracked()
        for place in MACHINE_PATHS
        if re.search(rf"(?<![\w.<>*}}]){place}".encode(), path.read_bytes())
    ]

    assert found == []


def test_the_lock_names_hashes_and_no_host() -> None:
    """Where packages come from is the user's choice; what they are is ours."""
    text = (TREE / "requirements.lock").read_text()
    packages = re.findall(r"^\S+==\S+.*\\$", text, re.MULTILINE)

    assert "//" not in text
    assert len(packages) > 40
    assert len(packages) == len(re.findall(r"^\S+==\S+.*\\\n    --hash=sha256:", text, re.MULTILINE))


def test_every_dependency_of_the_project_is_locked() -> None:
    """A dependency that is not in the lock would be installed from anywhere, or not at all."""
    import tomllib

    project = tomllib.loads((TREE / "pyproject.toml").read_text())
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    locked = set(re.findall(r"^([a-z0-9-]+)==", (TREE / "requirements.lock").read_text(), re.MULTILINE))

    assert {re.split(r"[<>=~]", name)[0] for name in wanted} - locked == set()


def every_command(group: click.Group = ROOT, path: str = "guts") -> list[tuple[str, click.Command]]:
    """All commands with the words that lead to them."""
    found: list[tuple[str, click.Command]] = []
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        assert command is not None
        words = f"{path} {name}"
        found += every_command(command, words) if isinstance(command, click.Group) else [(words, command)]
    return found


def test_every_command_and_option_is_in_the_reference() -> None:
    """A command nobody can look up is half a command."""
    text = (TREE / "docs/reference/cli.md").read_text()
    missing = []
    for words, command in every_command():
        section = re.search(rf"^#+ `{re.escape(words)}[ `].*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
        options = [opt for param in command.params if isinstance(param, click.Option) for opt in param.opts]
        body = section[0] if section else ""
        missing += [f"{words} {opt}" for opt in ["", *options] if not section or (opt != "--json" and opt not in body)]

    assert missing == []


def test_commands_in_the_docs_exist() -> None:
    """What a page tells people to type must be there to be typed."""
    known = [words for words, _ in every_command()]
    groups = {words.rsplit(" ", 1)[0] for words in known}
    pages = [path for path in tracked("*.md") if "docs/changes" not in str(path)]
    pages += [path for path in (TREE / "docs").rglob("*.md") if path not in pages]
    unknown = []
    for page in pages:
        for line in re.findall(
            r"^\s*(?:\$ |GUTS_HOME=\S+ |\.venv/bin/)?(guts [a-z][a-z -]*)", page.read_text(), re.MULTILINE
        ):
            words = line.strip()
            if not any(words == w or words.startswith(w + " ") for w in known) and words not in groups:
                unknown.append(f"{page.relative_to(TREE)}: {words}")

    assert unknown == []


@pytest.mark.parametrize("words", [["--help"], ["devnet", "--help"], ["genesis", "--help"]])
def test_help_loads_nothing_heavy(words: list[str]) -> None:
    """Help and completion must not pay for trio, quart and httpx."""
    code = f"import sys, guts_cli.main as m; m.run({words}); print('loaded', sorted({HEAVY} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert run.stdout.splitlines()[-1] == "loaded []"


def test_a_command_that_talks_to_a_node_loads_nothing_that_it_does_not_need() -> None:
    """A quarter of a second is too much already: httpx's own command line is not ours to load."""
    code = """
import sys
from guts_cli.main import main
sys.argv = ["guts", "status", "--node", "http://127.0.0.1:1"]
try:
    main()
except SystemExit as end:
    print(end.code, sorted({"httpx", "pygments", "rich", "quart"} & set(sys.modules)))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert run.stdout == "6 ['httpx']\n"


def test_allowed_skips_have_a_reason_and_a_near_end() -> None:
    """A skip without an end is a deletion that nobody admitted."""
    today = date.today()  # noqa: DTZ011 -- a calendar date, compared with calendar dates

    for entry in allowed_skips():
        assert entry.reason
        assert entry.until <= today + timedelta(days=SKIP_DAYS_MAX)


@pytest.mark.parametrize(
    ("test", "until", "holes"),
    [
        ("tests/a.py::b", date(2030, 1, 2), []),
        ("tests/a.py::b", date(2029, 1, 2), ["tests/a.py::b[1]"]),
        ("tests/c", date(2030, 1, 2), ["tests/a.py::b[1]"]),
    ],
)
def test_a_skip_needs_an_entry_that_has_not_ended(test: str, until: date, holes: list[str]) -> None:
    """The gate under all other tests works itself."""
    gate = SkipGate((AllowedSkip(test, until, "why"),), today=date(2030, 1, 1))
    gate.saw(pytest.TestReport("tests/a.py::b[1]", ("tests/a.py", 1, "b"), {}, "skipped", None, "setup"))
    gate.saw(pytest.TestReport("tests/a.py::d", ("tests/a.py", 9, "d"), {}, "passed", None, "call"))

    assert holes == list(gate.holes)
