"""The JSON API: GitHub's shapes under ``/api/v3``, Guts's own under ``/api/guts/v1``; one module a noun."""
