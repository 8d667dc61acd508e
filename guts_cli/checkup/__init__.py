"""What a newcomer or an operator trips over, looked at piece by piece: ``guts doctor``."""

from .finding import Finding as Finding
from .home import look_at_home as look_at_home
from .node import look_at_node as look_at_node
