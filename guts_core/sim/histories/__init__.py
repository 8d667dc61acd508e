"""What clients were told, and whether one store of one order could have told them so."""

from .history import History as History
from .history import Operation as Operation
from .history import Outcome as Outcome
from .history import Position as Position
from .history import Value as Value
from .linearizable import Undecided as Undecided
from .linearizable import linearizable as linearizable
from .models import Forge as Forge
from .models import Model as Model
from .models import Refs as Refs
from .sessions import monotonic_reads as monotonic_reads
from .sessions import read_your_writes as read_your_writes
from .timeline import html_timeline as html_timeline
from .timeline import text_timeline as text_timeline
from .total_order import total_order as total_order
from .violation import Violation as Violation
