"""Field types with their lengths: annotate record fields with these."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from guts_core.names import AccountId, BlockHash, ChainId, CredentialId, NodeId, Oid, RepoId, Root, TxId

from .shapes import Limit

_HASH = Limit.exactly(32)
AChainId: TypeAlias = Annotated[ChainId, _HASH]
ABlockHash: TypeAlias = Annotated[BlockHash, _HASH]
ARoot: TypeAlias = Annotated[Root, _HASH]
ATxId: TypeAlias = Annotated[TxId, _HASH]
AnAccountId: TypeAlias = Annotated[AccountId, _HASH]
ARepoId: TypeAlias = Annotated[RepoId, _HASH]
ACredentialId: TypeAlias = Annotated[CredentialId, _HASH]
ANodeId: TypeAlias = Annotated[NodeId, _HASH]
AHash: TypeAlias = Annotated[bytes, _HASH]
APublicKey: TypeAlias = Annotated[bytes, _HASH]
ASignature: TypeAlias = Annotated[bytes, Limit.exactly(64)]
ASalt: TypeAlias = Annotated[bytes, _HASH]
AnOid: TypeAlias = Annotated[Oid, Limit.exactly(20)]
# A ref name travels as UTF-8 text; its grammar is guts_core.git.refs.
ARefName: TypeAlias = Annotated[str, Limit(most=255, least=1)]
