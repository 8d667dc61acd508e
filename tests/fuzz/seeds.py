"""
What corpora begin with: one small honest input, and the hostile ones that tables of bad inputs name.

    python -m tests.fuzz.seeds

writes those that are not there; what fuzzing found stays beside them.
"""

from __future__ import annotations

import json
from hashlib import blake2b
from pathlib import Path

from guts_cli.config import Config, config_text
from guts_core.chain.genesis import Draft
from guts_core.chain.genesis_json import DraftFile, GenesisFile, to_json
from guts_core.codec import encode, to_bytes
from guts_core.forge.params import Params
from guts_core.git.pkt_line import FLUSH, packet
from guts_core.link.frames import Lane, Piece, join_pieces
from guts_core.simplex.quorum import FaultModel
from guts_net.journal import HEAD_BYTES, _frame, _head
from tests.core.chain.chain_world import TIME, a_genesis, entry
from tests.core.simplex.simplex_world import N, World
from tests.fuzz.targets import handshake

CORPUS = Path(__file__).with_name("corpus")
GOLDEN = Path(__file__).parents[1] / "conformance" / "golden_bytes.json"
OID, ZERO = b"1" * 40, b"0" * 40
# Records in the golden file that travel between nodes, and those of the port.
CONSENSUS = (
    "Submit",
    "Announce",
    "AvailSaid",
    "Witnessed",
    "Hello",
    "Propose",
    "Vote",
    "Certificate",
    "Fetch",
    "Supply",
)
PORT = ("AskStatus", "Act", "SubmitTransaction", "AskTransaction", "OpenPush", "OpenFetch", "Status", "Outcome")
PROOFS = ("ProofFile",)


def golden(*names: str) -> list[bytes]:
    """The approved bytes of these records."""
    stored = json.loads(GOLDEN.read_text())
    return [bytes.fromhex(stored[name][form]) for name in names for form in ("full", "bare")]


def seeds() -> dict[str, list[bytes]]:
    """Inputs by target."""
    world = World()
    vote = to_bytes(world.vote(1, N, 1, world.block(1).proposal))
    nonce = bytes(range(16))
    command = ZERO + b" " + OID + b" refs/heads/main"
    get = b"GET /a/b.git/info/refs?service=git-upload-pack HTTP/1.1\r\nHost: a\r\n\r\n"
    return {
        "codec": [
            encode((1, b"two", "three", True, None, (4, (5,)))),
            bytes.fromhex("1817"),
            bytes.fromhex("1bffffffffffffffff"),
            bytes.fromhex("9bffffffffffffffff"),
            bytes.fromhex("f90000"),
            bytes.fromhex("a10102"),
            b"\x81" * 20 + b"\0",
        ],
        "consensus": [vote, *golden(*CONSENSUS)],
        "port": golden(*PORT),
        "frames": [
            join_pieces([Piece(Lane.SAID, vote), Piece(Lane.PING, bytes(8))]),
            b"\x03\0\0\0",
            b"\0\xff\xff\xff",
            b"\0\0\x11" + bytes(17),
        ],
        "handshake": [*handshake._GENUINE, handshake._SYN[:-1], handshake._SYN + b"\0"],
        "pkt_line": [
            packet(b"hello\n") + FLUSH + b"0001" + packet(b"") + b"0002",
            b"0003",
            b"fff5",
            b"fff0",
            b"+123",
            b"0x12",
            b" 004",
            b"000",
        ],
        "receive_commands": [
            packet(command + b"\0report-status side-band-64k atomic agent=git/2.39") + FLUSH + b"PACK",
            packet(command + b"\0 push-options") + FLUSH + packet(b"guts.private") + FLUSH + b"PACK",
            packet(OID + b" " + ZERO + b" refs/heads/gone\0") + FLUSH,
            packet(b"shallow " + OID) + packet(command + b"\0object-format=sha256") + FLUSH,
            packet(b"push-cert\0") + FLUSH,
            packet(command) + packet(command) + FLUSH,
            FLUSH,
        ],
        "fetch_request": [
            packet(b"want " + OID + b" side-band-64k ofs-delta\n") + FLUSH + packet(b"have " + OID) + packet(b"done\n"),
            packet(b"command=fetch") + b"0001" + packet(b"want " + OID) + packet(b"done") + FLUSH,
            packet(b"have " + OID) + packet(b"want " + OID) + FLUSH,
        ],
        "protocol_v2": [
            packet(b"command=ls-refs\n")
            + packet(b"agent=git/2.39.5")
            + packet(b"object-format=sha1")
            + b"0001"
            + b"".join(map(packet, (b"peel\n", b"symrefs\n", b"unborn\n", b"ref-prefix refs/heads/\n")))
            + FLUSH,
            packet(b"command=fetch")
            + b"0001"
            + b"".join(map(packet, (b"thin-pack", b"want " + OID, b"have " + OID, b"shallow " + OID, b"deepen 3")))
            + b"".join(map(packet, (b"filter blob:limit=1k", b"want-ref refs/heads/main", b"sideband-all", b"done")))
            + FLUSH,
            packet(b"command=fetch")
            + b"0001"
            + packet(b"deepen-since 1700000000")
            + packet(b"deepen-not v1")
            + packet(b"packfile-uris https")
            + FLUSH,
            packet(b"command=object-info") + b"0001" + packet(b"size") + packet(b"oid " + OID) + FLUSH,
            packet(b"command=bundle-uri") + FLUSH,
            packet(b"command=ls-refs") + packet(b"server-option=x") + packet(b"object-format=sha256") + FLUSH,
            FLUSH,
            FLUSH + FLUSH,
        ],
        "ref_name": [
            name.encode()
            for name in (
                "refs/heads/main",
                "refs/heads/-x",
                "refs/heads/a..b",
                "refs/heads/a.lock",
                "refs/heads/.a",
                "HEAD",
                "refs/heads/@{u}",
                "refs/heads/a\u202eb",
                "refs/heads/" + "a" * 244,
                "refs/tags/v1.0",
                "refs/heads/a//b",
            )
        ],
        "genesis_json": [
            to_json(GenesisFile(a_genesis(1))).encode(),
            to_json(DraftFile(Draft("testnet", TIME, FaultModel.BYZANTINE, Params()))).encode(),
            to_json(entry(0)).encode(),
            b'{"genesis": {"time": -1}}',
            b"[" * 5000,
            b"\xff\xfe{",
        ],
        "config_toml": [
            config_text(Config()).encode(),
            b"[limits]\nfetches = 8\n",
            b"[limits]\nfetches = true\n",
            b"[nothing]\nx = 1\n",
            b"http = 1\n",
            b'[http]\nlisten = "0.0.0.0:99999"\n',
            b"\xff",
        ],
        "http_head": [
            get,
            get + get,
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n",
            b"GET / HTTP/1.1\nHost: a\n\n",
            b"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
        ],
        "proof_file": golden(*PROOFS),
        "vote_log": [
            _frame(nonce, HEAD_BYTES, HEAD_BYTES, b"one"),
            _frame(nonce, HEAD_BYTES + 27, HEAD_BYTES, b"two")[:-1],
            _head(nonce),
            b"gutslog0",
        ],
        "state_page": [bytes.fromhex("010001") + bytes.fromhex("0208") + bytes(65) + bytes(32), b"\1\0\0", b"\2"],
    }


def write() -> None:
    """Each seed under the start of its hash; nothing is removed."""
    for target, inputs in seeds().items():
        directory = CORPUS / target
        directory.mkdir(parents=True, exist_ok=True)
        for data in inputs:
            (directory / blake2b(data, digest_size=8).hexdigest()).write_bytes(data)


if __name__ == "__main__":
    write()
