"""Where a server listens."""

from __future__ import annotations

from ipaddress import ip_address

from attrs import frozen

from guts_core.errors import Invalid

HTTP_PORT_DEFAULT = 8080
P2P_PORT_DEFAULT = 7080
PORT_MAX = 65535
LOCALHOST = "localhost"


@frozen
class Address:
    """host:port to listen on; the host is an IP address or ``localhost``."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """Of ``host:port``, ``[v6]:port``; raises Invalid."""
        host, colon, port = text.rpartition(":")
        bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
        if not colon or not port.isdecimal() or not port.isascii() or int(port) > PORT_MAX:
            raise Invalid(f"{text!r} is not HOST:PORT, such as 127.0.0.1:{HTTP_PORT_DEFAULT}")
        if bare != LOCALHOST:
            try:
                ip_address(bare)
            except ValueError:
                raise Invalid(f"{text!r}: {bare!r} is not an IP address of this machine") from None
        return cls(bare, int(port))

    @property
    def is_loopback(self) -> bool:
        """Whether only programs of this machine can reach it."""
        return self.host == LOCALHOST or ip_address(self.host).is_loopback

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def a_place(text: str) -> str:
    """The text if others can dial it: an IP address or a name, and a port."""
    host, _, port = text.rpartition(":")
    bare = ":" not in host or (host.startswith("[") and host.endswith("]"))
    if not (host and bare and port.isdecimal() and port.isascii() and 0 < int(port) <= PORT_MAX):
        raise Invalid(f"{text[:100]!r} is not HOST:PORT, such as git.example.org:{P2P_PORT_DEFAULT}")
    return text
