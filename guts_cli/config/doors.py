"""What settings must be together, before a node opens its doors."""

from __future__ import annotations

from guts_cli.outcomes import Misconfigured

from .sections import Config


def check_doors(config: Config) -> None:
    """Misconfigured when the HTTP door would stand open in a way its operator hardly means."""
    http = config.http
    if bool(http.tls_cert) != bool(http.tls_key):
        absent = "http.tls_key" if http.tls_cert else "http.tls_cert"
        raise Misconfigured(f"TLS needs a certificate and its key: {absent} is not set")
    if config.http_address.is_loopback or http.tls_cert or http.trusted_proxies or http.insecure:
        return
    raise Misconfigured(
        f"http.listen is {http.listen}, an address that others reach, and nothing protects the tokens they send: "
        "set http.tls_cert and http.tls_key, or listen on 127.0.0.1 behind a proxy that does TLS (trusted_proxies)",
        "the same command with --tls-cert FILE --tls-key FILE, or with --insecure-http where everybody on the way "
        "is trusted",
    )
