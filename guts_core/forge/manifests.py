"""What a manifest must say whatever the state: well formed and consistent in itself (``architecture.md`` 5)."""

from __future__ import annotations

from guts_core.errors import Invalid, LimitExceeded
from guts_core.git.refs import client_ref_name

from .actions import Manifest, ManifestKind, Relation, SourceKind, Update
from .records import ObjectFormat
from .ref_paths import check_together
from .repositories import Unsupported

# Deeper than any name people use; it bounds the look-ups that one created ref costs.
REF_COMPONENTS_MAX = 32


def needs_availability(manifest: Manifest) -> bool:
    """Whether a quorum must have attested it: only updates that all delete need nobody's disk."""
    return any(update.new is not None for update in manifest.updates)


def check_manifest(manifest: Manifest, updates_max: int) -> None:
    """Raise what is wrong with the manifest in any state."""
    if manifest.kind is not ManifestKind.PACK:
        raise Unsupported("a push carries a pack: other manifests are reserved")
    if manifest.object_format is not ObjectFormat.SHA1:
        raise Unsupported("SHA-256 objects are reserved: use the SHA-1 object format for now")
    if len(manifest.updates) > updates_max:
        raise LimitExceeded(f"{len(manifest.updates)} updates: at most {updates_max} fit in one transaction")
    for update in manifest.updates:
        _check_update(update)
    _check_names(manifest.updates)
    _check_blob(manifest)


def _check_update(update: Update) -> None:
    name = client_ref_name(update.ref)
    if name.count("/") >= REF_COMPONENTS_MAX:
        raise LimitExceeded(f"ref name {name} has more than {REF_COMPONENTS_MAX} parts")
    if update.source is SourceKind.MERGE:
        raise Unsupported(f"{name}: merges by the network are reserved")
    if update.old is None and update.new is None:
        raise Invalid(f"{name}: the update says neither what was there nor what shall be")
    if update.relation not in _possible_relations(update):
        raise Invalid(f"{name}: {update.relation.name.lower()} does not fit its old and new object ids")
    if (update.source is SourceKind.NONE) != (update.new is None):
        raise Invalid(f"{name}: source {update.source.name.lower()} does not fit its new object id")


def _possible_relations(update: Update) -> tuple[Relation, ...]:
    if update.new is None:
        return (Relation.DELETED,)
    if update.old is None:
        return (Relation.CREATED,)
    return (Relation.FAST_FORWARD, Relation.FORCED)


def _check_names(updates: tuple[Update, ...]) -> None:
    """Each ref once, and no two refs that shall exist of which one is a path prefix of the other."""
    if len({update.ref for update in updates}) < len(updates):
        raise Invalid("a ref is named twice in one push")
    check_together([update.ref for update in updates if update.new is not None])


def _check_blob(manifest: Manifest) -> None:
    uses_pack = any(update.source is SourceKind.PACK for update in manifest.updates)
    if uses_pack and manifest.blob is None:
        raise Invalid("an update takes its object from a pack that the manifest does not have")
    if manifest.blob is not None and not uses_pack:
        raise Invalid("the manifest has a pack from which no update takes its object")
