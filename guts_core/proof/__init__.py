"""Proofs that a stranger checks with the genesis alone: files that show what was final, and the verifier."""

from .faults import BadCertificate as BadCertificate
from .faults import BadChain as BadChain
from .faults import BadPath as BadPath
from .faults import Incomplete as Incomplete
from .faults import NotAProof as NotAProof
from .faults import OtherNetwork as OtherNetwork
from .faults import OtherQuestion as OtherQuestion
from .faults import TooOld as TooOld
from .faults import UnknownVersion as UnknownVersion
from .questions import ActivityQuestion as ActivityQuestion
from .questions import HeaderQuestion as HeaderQuestion
from .questions import HeadersQuestion as HeadersQuestion
from .questions import Question as Question
from .questions import RefQuestion as RefQuestion
from .questions import RefsQuestion as RefsQuestion
from .questions import TransactionQuestion as TransactionQuestion
from .verified import Final as Final
from .verified import Proven as Proven
from .verified import ProvenHeaders as ProvenHeaders
from .verified import ProvenRef as ProvenRef
from .verified import ProvenRefs as ProvenRefs
from .verified import ProvenTransaction as ProvenTransaction
from .verified import Verified as Verified
from .verify import network_of as network_of
from .verify import verify as verify
