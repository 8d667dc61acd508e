"""Fuzz targets: each module has one plain ``fuzz(data)`` that raises when what it promises does not hold."""
