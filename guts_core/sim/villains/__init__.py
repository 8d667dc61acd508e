"""Nodes that break one rule each, with their own key and an honest engine underneath."""
