"""
The tables of ``chain.db``, as text: written by ``guts_net.store`` alone, read by it and by the HTTP doors.

SQL stands here, not in the adapters, because two packages that never import each other share it.
"""

from __future__ import annotations

SCHEMA_VERSION = 3  # PRAGMA user_version; another build's directory is refused with words

# pages has a rowid because SQLite keeps a row of 4 KB in one database page only in a rowid table:
# without one it would spill to an overflow page above 1002 bytes, and every write dirty two.
TABLES = """
CREATE TABLE records (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE pages (path BLOB PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE blocks (
    height INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, view INTEGER NOT NULL,
    proposal BLOB NOT NULL, body BLOB NOT NULL, certificate BLOB
);
CREATE INDEX certified ON blocks (view) WHERE certificate IS NOT NULL;
CREATE TABLE receipts (
    tx_id BLOB PRIMARY KEY, height INTEGER NOT NULL, position INTEGER NOT NULL, receipt BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE replay (tx_id BLOB PRIMARY KEY, expires INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX replay_expires ON replay (expires);
CREATE TABLE missing (
    repo BLOB NOT NULL, digest BLOB NOT NULL, idx_digest BLOB NOT NULL, size INTEGER NOT NULL,
    PRIMARY KEY (repo, digest)
) WITHOUT ROWID;
CREATE TABLE missing_texts (
    repo BLOB NOT NULL, commitment BLOB NOT NULL, PRIMARY KEY (repo, commitment)
) WITHOUT ROWID;
CREATE TABLE ref_log (
    repo BLOB NOT NULL, ref TEXT NOT NULL, height INTEGER NOT NULL, position INTEGER NOT NULL,
    time INTEGER NOT NULL, tx_id BLOB NOT NULL, author BLOB NOT NULL, credential BLOB, gateway BLOB,
    old BLOB, new BLOB, relation INTEGER NOT NULL,
    PRIMARY KEY (repo, ref, height, position)
) WITHOUT ROWID;
CREATE TABLE deleted (repo BLOB PRIMARY KEY, owner BLOB NOT NULL, time INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX deleted_owner ON deleted (owner, time);
CREATE INDEX deleted_time ON deleted (time);
CREATE TABLE steps (epoch INTEGER PRIMARY KEY, step BLOB NOT NULL);
CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
"""

GET_RECORD = "SELECT value FROM records WHERE key = ?"
# (after or prefix, end of prefix, limit); `after` is exclusive, a prefix is never a whole key.
SCAN_RECORDS = "SELECT key, value FROM records WHERE key > ? AND key < ? ORDER BY key LIMIT ?"
SCAN_RECORDS_FROM = "SELECT key, value FROM records WHERE key >= ? AND key < ? ORDER BY key LIMIT ?"
GET_PAGE = "SELECT data FROM pages WHERE path = ?"
GET_META = "SELECT value FROM meta WHERE name = ?"
GET_BLOCK = "SELECT height, hash, proposal, body, certificate FROM blocks WHERE height = ?"
GET_BLOCK_BY_HASH = "SELECT height, hash, proposal, body, certificate FROM blocks WHERE hash = ?"
# The certificate that proves a block may be a later one's: the nearest certified at or above. By view, for which there
# is an index: where a node caught up, a hundred thousand blocks may lie below one certificate.
GET_CERTIFIED_FROM = (
    "SELECT height, hash, proposal, body, certificate FROM blocks WHERE certificate IS NOT NULL"
    " AND view >= (SELECT view FROM blocks WHERE height = ?) ORDER BY view LIMIT 1"
)
GET_NEWEST_CERTIFICATE = (
    "SELECT certificate FROM blocks WHERE certificate IS NOT NULL AND view >= ? ORDER BY view DESC LIMIT 1"
)
GET_RECEIPT = "SELECT height, position, receipt FROM receipts WHERE tx_id = ?"
LIST_REPLAYS = "SELECT tx_id FROM replay LIMIT ?"
IS_REPLAY = "SELECT 1 FROM replay WHERE tx_id = ?"
FIRST = "SELECT min(height) FROM blocks"
GET_STEP = "SELECT step FROM steps WHERE epoch = ?"
COUNT_STEPS = "SELECT count(*) FROM steps"
TOP = "SELECT max(height) FROM blocks"
COUNT_MISSING = "SELECT count(*) FROM missing"
LACKS_PACKS = "SELECT 1 FROM missing WHERE repo = ? LIMIT 1"
LIST_MISSING = "SELECT repo, digest, idx_digest, size FROM missing"
# (repo, ref, limit, offset); newest first, the columns are those of indexed.RefMove.
REF_LOG = (
    "SELECT repo, ref, height, position, time, tx_id, author, credential, gateway, old, new, relation FROM ref_log"
    " WHERE repo = ? AND ref = ? ORDER BY height DESC, position DESC LIMIT ? OFFSET ?"
)
# (owner, time), newest first.
DELETED_SINCE = "SELECT repo FROM deleted WHERE owner = ? AND time > ? ORDER BY time DESC, repo"
DELETED_UNTIL = "SELECT repo, time FROM deleted WHERE time > ? AND time <= ? ORDER BY time"
FIRST_DELETED = "SELECT min(time) FROM deleted WHERE time > ?"
COUNT_MISSING_TEXTS = "SELECT count(*) FROM missing_texts"
LIST_MISSING_TEXTS = "SELECT repo, commitment FROM missing_texts"


def prefix_end(prefix: bytes) -> bytes:
    """The least key above every key that starts with this prefix (prefixes never end in 0xff only)."""
    at = len(prefix)
    while at and prefix[at - 1] == 0xFF:
        at -= 1
    assert at, "a prefix of 0xff bytes has no end"
    return prefix[: at - 1] + bytes((prefix[at - 1] + 1,))
