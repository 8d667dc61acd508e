"""Packs and indexes handed out as they are stored, for who checks them by their digests."""
