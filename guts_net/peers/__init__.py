"""Links to the other validators: who is connected, what they say, chunks of packs."""

from .bulk import ChunkAnswer as ChunkAnswer
from .bulk import Serve as Serve
from .events import Ear as Ear
from .events import InboxEvent as InboxEvent
from .events import PeerAddress as PeerAddress
from .events import PeerConnected as PeerConnected
from .events import PeerDisconnected as PeerDisconnected
from .events import PeerSaid as PeerSaid
from .links import PeerNetwork as PeerNetwork
from .outbox import Urgency as Urgency
