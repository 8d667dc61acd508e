"""What a run of the tests reached, in numbers: told by the tests, kept as lines of JSON, shown on a page."""
