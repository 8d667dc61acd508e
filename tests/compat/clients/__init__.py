"""Small programs that drive git clients for the tests, all by one command line (``driving.py``)."""
