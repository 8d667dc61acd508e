"""``python -m guts_cli`` is ``guts``."""

from .main import main

main()
