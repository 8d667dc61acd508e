"""Parsers against bytes that nobody meant: targets, their corpora, and two ways to run them."""
