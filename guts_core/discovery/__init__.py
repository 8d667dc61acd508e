"""Where the nodes of a network are; who they are is state, and never learned here (``consensus.md`` 6, Discovery)."""

from .alarm import Outlook as Outlook
from .alarm import outlook as outlook
from .book import AddressBook as AddressBook
from .discovery import DISCOVERY_KINDS as DISCOVERY_KINDS
from .discovery import At as At
from .discovery import Discovery as Discovery
from .discovery import Effect as Effect
from .discovery import Refuse as Refuse
from .discovery import Tell as Tell
from .hints import bootstrap_node as bootstrap_node
from .hints import hints_of as hints_of
from .hints import tellable as tellable
from .info import ADDRESSES_MAX as ADDRESSES_MAX
from .info import Infos as Infos
from .info import Kept as Kept
from .info import Known as Known
from .info import PeerInfo as PeerInfo
from .info import sign_info as sign_info
from .members import Members as Members
from .members import Recent as Recent
