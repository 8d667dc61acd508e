"""
Files of ready-made clones over plain HTTP servers that trickle, cut or hang: every byte is right, or nobody has it.

Times are those of a clock that ticks at each byte that comes, so that no test depends on how fast the machine is.
"""

from __future__ import annotations

import os
import resource
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from attrs import evolve

from guts_cli.outcomes import Misconfigured
from guts_cli.ready.begun import Begun, File, claim, forget, leave, remove
from guts_cli.ready.download import PART_BYTES, Mirrors, fetch_all
from guts_cli.ready.known import Mirror
from guts_cli.ready.local import Repository
from guts_cli.ready.pace import Pace, TooSlow, Watch
from guts_core.codec import HASH_BYTES, Tag
from guts_core.errors import Corrupt, Unavailable

PATIENCE_SECONDS = 60.0
# Two parts and a bit of a third.
DATA = os.urandom(1 << 20) * 40
SMALL = DATA[:300_000]
Answer = Callable[[BaseHTTPRequestHandler, bytes], None]


@contextmanager
def serving(data: bytes, answer: Answer, asked: list[str] | None = None) -> Iterator[Mirror]:
    """A server of one file; ``answer`` is given the bytes of the range, after the head went out."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            first, _, last = self.headers["Range"].removeprefix("bytes=").partition("-")
            if asked is not None:
                asked.append(f"{first}-{last}")
            part = data[int(first) : int(last) + 1]
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
            self.send_header("Content-Length", str(len(part)))
            self.end_headers()
            answer(self, part)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the library's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield Mirror(f"http://127.0.0.1:{server.server_address[1]}", None)
        finally:
            server.shutdown()
            thread.join()


def whole(handler: BaseHTTPRequestHandler, part: bytes) -> None:
    handler.wfile.write(part)


def a_file(directory: Path, data: bytes, name: str = "tmp_guts_0_0.pack") -> File:
    digest = blake2b(data, digest_size=HASH_BYTES, person=Tag.BLOB.value).digest()
    return File("pack 0", "/packs/0.pack", digest, len(data), directory / name)


# ---- pace ----


class Ticks:
    """A clock that goes on by a second whenever it is looked at."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Another second."""
        self.now += 1
        return self.now


def test_each_window_has_to_bring_enough() -> None:
    watch = Watch(Pace(least=100, seconds=10, clock=Ticks()))
    for size in [10] * 20 + [9] * 9:
        watch.took(size)

    with pytest.raises(TooSlow, match="90 bytes in 10 s"):
        watch.took(9)


def test_a_node_that_trickles_is_left_for_another(tmp_path: Path) -> None:
    """A byte now and then is not silence; without an end to it the download would take days."""
    given, over = [0], threading.Event()

    def trickle(handler: BaseHTTPRequestHandler, part: bytes) -> None:
        for at in range(len(part)):
            if over.wait(0.002):
                return
            handler.wfile.write(part[at : at + 1])
            given[0] += 1

    begun = Begun(a_file(tmp_path, SMALL))
    with serving(SMALL, trickle) as slow, serving(SMALL, whole) as other:
        fetch_all([begun], Mirrors([slow, other]), Pace(least=4_096, seconds=20, clock=Ticks()))
        over.set()

    assert begun.file.target.read_bytes() == SMALL
    assert given[0] < len(SMALL) / 2


def test_where_all_trickle_it_ends(tmp_path: Path) -> None:
    def trickle(handler: BaseHTTPRequestHandler, part: bytes) -> None:
        for at in range(len(part)):
            handler.wfile.write(part[at : at + 1])
            if over.wait(0.002):
                return

    over = threading.Event()
    with serving(SMALL, trickle) as slow, pytest.raises(Unavailable, match="no node gives pack 0 now"):
        fetch_all([Begun(a_file(tmp_path, SMALL))], Mirrors([slow]), Pace(least=4_096, seconds=20, clock=Ticks()))
    over.set()


def test_the_head_of_an_answer_may_not_trickle_either(tmp_path: Path) -> None:
    over = threading.Event()

    class Slow(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.wfile.write(b"HTTP/1.1 206 OK\r\n")
            while not over.wait(0.002):
                self.wfile.write(b"X: y\r\n")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the library's name
            pass

    begun = Begun(a_file(tmp_path, SMALL))
    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server, serving(SMALL, whole) as other:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        slow = Mirror(f"http://127.0.0.1:{server.server_address[1]}", None)
        fetch_all([begun], Mirrors([slow, other]), Pace(least=4_096, seconds=20, clock=Ticks()))
        over.set()
        server.shutdown()
        thread.join()

    assert begun.file.target.read_bytes() == SMALL


# ---- stopping, and going on ----


def test_a_failure_ends_what_hangs_elsewhere(tmp_path: Path) -> None:
    """One file is with nobody, while a read of another would wait for as long as a node may be silent."""
    hangs, over = threading.Event(), threading.Event()

    def answer(handler: BaseHTTPRequestHandler, _part: bytes) -> None:
        if handler.path == "/packs/0.pack":
            hangs.set()
            over.wait(PATIENCE_SECONDS)
        else:
            hangs.wait(PATIENCE_SECONDS)

    nowhere = evolve(a_file(tmp_path, SMALL, "tmp_guts_0_1.pack"), name="pack 1", path="/packs/1.pack")
    with serving(SMALL, answer) as mirror:
        with pytest.raises(Unavailable, match="no node gives pack 1 now"):
            fetch_all([Begun(a_file(tmp_path, SMALL)), Begun(nowhere)], Mirrors([mirror, evolve(mirror, token="t")]))
        over.set()


def test_a_thread_that_is_late_writes_into_no_file_of_others(tmp_path: Path) -> None:
    """A part hangs while another fails; its file is closed, and what is opened next must stay as it is."""
    released, hung = threading.Event(), threading.Event()
    done = threading.Event()

    def answer(handler: BaseHTTPRequestHandler, part: bytes) -> None:
        if handler.headers["Range"].startswith("bytes=0-"):
            hung.set()
            released.wait(PATIENCE_SECONDS)
            try:
                handler.wfile.write(part)
            finally:
                done.set()
        else:
            hung.wait(PATIENCE_SECONDS)

    with serving(DATA, answer) as mirror:
        before = set(threading.enumerate())
        with pytest.raises(Unavailable):
            fetch_all([Begun(a_file(tmp_path, DATA))], Mirrors([mirror]))
        others = [(tmp_path / f"other{number}").open("w+b") for number in range(32)]
        late = set(threading.enumerate()) - before
        assert late, "one still waits for its part"
        released.set()
        assert done.wait(PATIENCE_SECONDS)
        for thread in late:  # what is written, is written now
            thread.join(PATIENCE_SECONDS)
            assert not thread.is_alive()

    for other in others:
        assert os.fstat(other.fileno()).st_size == 0
        other.close()


def test_what_was_begun_is_gone_on_with_by_one_run(tmp_path: Path) -> None:
    """Half of the second part is missing; of two runs one has what was left."""
    begun = Begun(a_file(tmp_path, DATA))
    half = PART_BYTES + PART_BYTES // 2
    begun.file.target.write_bytes(DATA[:half])
    begun.reached.update({0: PART_BYTES, PART_BYTES: half})
    kept = leave([begun])
    asked: list[str] = []

    mine = claim(a_file(tmp_path, DATA, "tmp_guts_1_0.pack"))
    others = claim(a_file(tmp_path, DATA, "tmp_guts_2_0.pack"))
    with serving(DATA, whole, asked) as mirror:
        fetch_all([mine], Mirrors([mirror]))

    assert (kept, mine.is_resumed, others.is_resumed) == (half, True, False)
    assert sorted(asked) == sorted([f"{half}-{2 * PART_BYTES - 1}", f"{2 * PART_BYTES}-{len(DATA) - 1}"])
    assert mine.file.target.read_bytes() == DATA
    remove([mine])
    assert list(tmp_path.iterdir()) == []


def test_what_was_left_is_not_believed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A bit rotted meanwhile: all of it is fetched, and no node is blamed."""
    begun = Begun(a_file(tmp_path, SMALL))
    begun.file.target.write_bytes(bytes((SMALL[0] ^ 1,)) + SMALL[1:200_000])
    begun.reached[0] = 200_000
    leave([begun])

    again = claim(a_file(tmp_path, SMALL, "tmp_guts_1_0.pack"))
    with serving(SMALL, whole) as mirror:
        fetch_all([again], Mirrors([mirror]))

    assert again.file.target.read_bytes() == SMALL
    assert "wrong bytes" not in capsys.readouterr().err


@pytest.mark.parametrize("record", ["", "0\n", "0 -1\n", "0 300001\n", "5 4\n", "zero one\n", "\udcff"])
def test_a_record_that_makes_no_sense_is_none(tmp_path: Path, record: str) -> None:
    file = a_file(tmp_path, SMALL)
    left = tmp_path / f"tmp_guts_left_{file.digest.hex()}.pack"
    left.write_bytes(b"?")
    left.with_name(f"{left.name}.parts").write_text(record, errors="surrogateescape")

    begun = claim(file)

    assert begun.at(0, file.size) == 0
    remove([begun])
    forget(tmp_path)
    assert list(tmp_path.iterdir()) == []


# ---- this machine ----


def test_a_disk_that_takes_no_more_is_no_nodes_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It takes a part of a write first, and says so at the next one only."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with serving(SMALL, whole) as mirror:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
        try:
            with pytest.raises(Misconfigured, match="File too large; nothing half-written is kept"):
                fetch_all([Begun(a_file(tmp_path, SMALL))], Mirrors([mirror]))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    assert "wrong bytes" not in capsys.readouterr().err


def test_temporary_files_go_with_what_git_puts_beside_them(tmp_path: Path) -> None:
    """From 2.41 on it writes reverse indexes by itself."""
    begun = Begun(a_file(tmp_path, SMALL))
    for kind in ("pack", "idx", "rev", "keep", "pack.parts"):
        begun.file.target.with_suffix(f".{kind}").touch()
    (tmp_path / "tmp_guts_0_01.pack").touch()

    remove([begun])

    assert [path.name for path in tmp_path.iterdir()] == ["tmp_guts_0_01.pack"]


def test_a_pack_that_git_does_not_index_is_told_in_gits_words(tmp_path: Path) -> None:
    pack, idx = tmp_path / "tmp_guts_0_0.pack", tmp_path / "tmp_guts_0_0.idx"
    pack.write_bytes(b"no pack")
    idx.write_bytes(b"")

    with pytest.raises(Corrupt, match="git does not index a pack: fatal: "):
        Repository.check_index(pack, idx)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["tmp_guts_0_0.idx", "tmp_guts_0_0.pack"]
