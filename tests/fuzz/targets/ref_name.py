"""Ref names: Guts's grammar is part of git's, as dulwich and libgit2 know it."""

from __future__ import annotations

import pygit2
from dulwich.refs import check_ref_format

from guts_core.errors import Invalid
from guts_core.git.refs import ref_name


def fuzz(data: bytes) -> None:
    """Invalid, or a name that both others take, below refs/, that no command takes for an option."""
    try:
        text = data.decode("utf-8", "surrogateescape")
        name = ref_name(text)
    except Invalid as refusal:
        words = str(refusal)
        assert words.isprintable()
        return
    assert name.encode() == data
    assert name.startswith("refs/")
    assert check_ref_format(data)  # type: ignore[arg-type]  # its NewType of bytes
    assert pygit2.reference_is_valid_name(name)
    assert not any(part.startswith("-") for part in name.split("/"))
