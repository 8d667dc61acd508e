"""The door of the library: few names, documented, cheap to open, and errors with codes."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import guts_core
import guts_http
import guts_net
from guts_core.errors import GutsError

TREE = Path(__file__).parents[2]
PAGE = (TREE / "docs/reference/library.md").read_text()
NAMES_MAX = 40
MACHINE = ("asyncio", "quart", "socket", "sqlite3", "ssl", "subprocess", "trio")
# One refusal, met by two judges: the caller is told the same.
SHARED_CODES = {"quota-exhausted", "not-final"}
CODE = re.compile(r"[a-z]+(-[a-z0-9]+)*")


@pytest.mark.parametrize(
    "program",
    ["import guts_core", "import guts_core; [getattr(guts_core, name) for name in guts_core.__all__]"],
    ids=["import", "every name"],
)
def test_importing_the_core_loads_nothing_of_the_machine(program: str) -> None:
    """Whoever embeds the rules in a program of another sort gets no event loop, server or database with them."""
    code = f"{program}; import sys; print(sorted(set({MACHINE}) & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-I", "-c", code], cwd=TREE, capture_output=True, text=True, check=True)

    assert run.stdout == "[]\n"


def test_the_door_has_few_names_and_each_is_documented() -> None:
    """A name that the page does not explain is not public; one that it explains is there."""
    explained = re.findall(r"^\| `guts_core\.(\w+)`", PAGE, re.MULTILINE)

    assert sorted(guts_core.__all__) == sorted(explained)
    assert len(guts_core.__all__) <= NAMES_MAX
    for name in guts_core.__all__:
        found = getattr(guts_core, name)
        assert name == "VERSION" or inspect.getdoc(found), name


def test_type_checkers_see_the_same_names() -> None:
    """What is imported lazily is told to mypy by a second list, which must be the same."""
    source = ast.parse(Path(inspect.getfile(guts_core)).read_text())
    shown = next(node for node in source.body if isinstance(node, ast.If))
    told = {alias.asname: alias.name for node in shown.body if isinstance(node, ast.ImportFrom) for alias in node.names}

    assert set(guts_core.__all__) - {"VERSION"} == set(told)
    assert all(name == alias for alias, name in told.items())


def test_an_unknown_name_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="no public name 'nonsense'"):
        _ = guts_core.nonsense


def every_module(package: ModuleType) -> list[ModuleType]:
    """A package and all in it."""
    names = [found.name for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
    return [importlib.import_module(name) for name in names if not name.endswith("__main__")]


def public_errors() -> list[type[BaseException]]:
    """Every exception class that a caller could meet by a public name."""
    modules = [module for package in (guts_core, guts_net, guts_http) for module in every_module(package)]
    found = {
        member: None
        for module in modules
        for name, member in vars(module).items()
        if inspect.isclass(member)
        and issubclass(member, BaseException)
        and member.__module__ == module.__name__
        and not name.startswith("_")
    }
    return list(found)


def test_every_public_error_is_ours_and_has_a_code() -> None:
    """Programs branch on codes, people read sentences; an error outside the tree is neither's."""
    errors = public_errors()
    foreign = [error for error in errors if not issubclass(error, GutsError)]
    unnamed = [error for error in errors if issubclass(error, GutsError) and "code" not in vars(error)]

    assert foreign == []
    assert unnamed == []
    assert all(CODE.fullmatch(error.code) for error in errors if issubclass(error, GutsError))


def test_no_two_errors_of_a_package_share_a_code() -> None:
    """A receipt, the port and the API carry the code alone."""
    for package in ("guts_core", "guts_net", "guts_http"):
        codes = [
            error.code
            for error in public_errors()
            if issubclass(error, GutsError) and error.__module__.startswith(package)
        ]

        assert {code for code in codes if codes.count(code) > 1} <= SHARED_CODES


def test_a_node_loads_libgit2_when_it_is_asked_for_files() -> None:
    """Ten MiB that an idle node does not need."""
    code = "import sys, guts_http.app, guts_net.runtime, guts_core.git.reading.blame; print('pygit2' in sys.modules)"
    run = subprocess.run([sys.executable, "-I", "-c", code], cwd=TREE, capture_output=True, text=True, check=True)

    assert run.stdout == "False\n"
