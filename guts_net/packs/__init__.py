"""Packs on disk: quarantine, checks by git, durable storage by digest, repositories and what shows them."""

from .clean import UNKNOWN as UNKNOWN
from .clean import CleanLists as CleanLists
from .clean import Listed as Listed
from .facts import Command as Command
from .facts import Facts as Facts
from .git_child import GitChildren as GitChildren
from .ingest import CheckedPack as CheckedPack
from .ingest import Incoming as Incoming
from .refusals import BadPack as BadPack
from .refusals import MissingObjects as MissingObjects
from .store import PackStore as PackStore
