"""The record store: typed keys, overlays, and the authenticated radix tree over them."""
