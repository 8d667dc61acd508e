"""A node by its directory: who runs it, where it answers, and what convinces us that it is the one."""

from __future__ import annotations

import shlex
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from attrs import define

from guts_http.client import Client, open_client
from guts_net.lock import lock_holder

from . import network as networks
from .config import Config
from .node_directory import NodeDirectory
from .outcomes import Misconfigured, Missing

ANSWER_SECONDS = 5.0
# Where to ask a server that listens on every address.
_NEAR = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 -- compared with, not bound


@define(slots=False)
class OwnNode:
    """A directory that holds a node."""

    directory: NodeDirectory

    @classmethod
    def at(cls, path: Path) -> OwnNode:
        """The node in a directory; Missing when there is none."""
        directory = NodeDirectory(path)
        if not directory.keys.exists():
            raise Missing(f"{path} holds no node", f"guts node init --dir {shlex.quote(str(path))} --name NAME")
        return cls(directory)

    @cached_property
    def config(self) -> Config:
        """Its settings; Misconfigured names what is wrong with them."""
        return self.directory.settings().config

    @property
    def holder(self) -> str | None:
        """The process that runs it; None while it does not run."""
        return lock_holder(self.directory.path / "node.lock")

    @property
    def url(self) -> str:
        """Where it answers on this machine."""
        path = self.directory.path.resolve()
        if networks.exists(path.parent) and path.name.removeprefix("node").isdecimal():
            return networks.load(path.parent).seat(int(path.name.removeprefix("node"))).url
        address = self.config.http_address
        if address.port == 0:
            raise Misconfigured("http.listen has port 0, so only who started the node knows its address", "--node URL")
        host = _NEAR.get(address.host, f"[{address.host}]" if ":" in address.host else address.host)
        return f"{'https' if self.config.http.tls_cert else 'http'}://{host}:{address.port}"

    @contextmanager
    def open(self) -> Iterator[Client]:
        """A client of it. Its own certificate is believed under whatever name: it comes from its own directory."""
        trust = own_trust(self.directory.path / self.config.http.tls_cert) if self.config.http.tls_cert else None
        with open_client(self.url, verify=trust, seconds=ANSWER_SECONDS) as client:
            yield client


def own_trust(chain: Path) -> ssl.SSLContext:
    """Believes exactly the certificates of this file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(chain)
    return context
