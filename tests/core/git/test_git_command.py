"""How git is started: what reaches it, and which versions will do."""

from __future__ import annotations

import pytest

from guts_core.errors import Unavailable
from guts_core.git.command import check_git_version, git_argv, git_environment


def test_only_our_variables_reach_a_child() -> None:
    environment = git_environment("/usr/bin")

    assert environment["PATH"] == "/usr/bin"
    assert environment["GIT_CONFIG_GLOBAL"] == "/dev/null"
    assert environment["GIT_NO_REPLACE_OBJECTS"] == environment["GIT_CONFIG_NOSYSTEM"] == "1"
    assert environment["GIT_TERMINAL_PROMPT"] == "0"
    assert environment["LC_ALL"] == "C"


def test_settings_come_before_the_command() -> None:
    argv = git_argv("upload-pack", "--stateless-rpc", "/x")

    assert argv[0] == "git"
    assert argv[-3:] == ["upload-pack", "--stateless-rpc", "/x"]
    assert all(flag == "-c" for flag in argv[1:-3:2])
    assert {"safe.directory=*", "core.hooksPath=/dev/null", "gc.auto=0"} <= set(argv)


@pytest.mark.parametrize(
    ("answer", "version"),
    [(b"git version 2.39.5\n", (2, 39)), (b"git version 2.51.0.windows.1\n", (2, 51)), (b"git version 3.0\n", (3, 0))],
)
def test_versions_that_will_do(answer: bytes, version: tuple[int, int]) -> None:
    assert check_git_version(answer) == version


@pytest.mark.parametrize("answer", [b"git version 2.38.4\n", b"git version 1.99\n", b"", b"\x1b[2Jgit"])
def test_versions_that_will_not_do_say_which_is_needed(answer: bytes) -> None:
    with pytest.raises(Unavailable, match=r"2\.39") as caught:
        check_git_version(answer)
    assert str(caught.value).isprintable()
