"""A node's ``config.toml``: a handful of settings, each of which a flag can override."""

from __future__ import annotations

import re
import tomllib
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from attrs import Attribute, field, fields, frozen

from guts_core.errors import Invalid
from guts_core.names import account_name

from .outcomes import Misconfigured

CONFIG_FILE = "config.toml"
HTTP_PORT_DEFAULT = 8080
P2P_PORT_DEFAULT = 7080
LOG_LEVELS = ("debug", "info", "warning", "error")
# An operator who raises this lets a cut-off node show private data for longer after a revocation.
PRIVATE_READ_GRACE_SECONDS = 600
PORT_MAX = 65535


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
        if bare != "localhost":
            try:
                ip_address(bare)
            except ValueError:
                raise Invalid(f"{text!r}: {bare!r} is not an IP address of this machine") from None
        return cls(bare, int(port))

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def _an_address(_instance: object, _attribute: Attribute[str], value: str) -> None:
    Address.parse(value)


def _a_name(_instance: object, _attribute: Attribute[str], value: str) -> None:
    account_name(value)


def _a_level(_instance: object, _attribute: Attribute[str], value: str) -> None:
    if value not in LOG_LEVELS:
        raise Invalid(f"{value!r} is not one of {', '.join(LOG_LEVELS)}")


def _not_negative(_instance: object, _attribute: Attribute[int], value: int) -> None:
    if value < 0:
        raise Invalid(f"{value} is negative")


@frozen
class NodeConfig:
    """What an operator may set."""

    name: str = field(default="node", validator=_a_name)
    http: str = field(default=f"127.0.0.1:{HTTP_PORT_DEFAULT}", validator=_an_address)
    p2p: str = field(default=f"127.0.0.1:{P2P_PORT_DEFAULT}", validator=_an_address)
    log_level: str = field(default="info", validator=_a_level)
    private_read_grace_seconds: int = field(default=PRIVATE_READ_GRACE_SECONDS, validator=_not_negative)

    @property
    def http_address(self) -> Address:
        """Where to serve git and the API."""
        return Address.parse(self.http)

    @property
    def p2p_address(self) -> Address:
        """Where to hear other validators."""
        return Address.parse(self.p2p)


def load_config(path: Path) -> NodeConfig:
    """The settings in a file, strictly: Misconfigured names file, line, and what is allowed."""
    text = path.read_text()
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Misconfigured(f"{path}: {error}") from error
    settings: dict[str, Any] = {}
    for key, value in found.items():
        settings[key] = _checked(path, text, key, value)
    return NodeConfig(**settings)


def _checked(path: Path, text: str, key: str, value: object) -> object:
    known = {attribute.name: attribute for attribute in fields(NodeConfig)}
    where = f"{path}, line {_line_of(text, key)}"
    if key not in known:
        raise Misconfigured(f"{where}: unknown setting {key!r}; allowed are {', '.join(known)}")
    attribute = known[key]
    kind = type(attribute.default)
    if type(value) is not kind:
        raise Misconfigured(f"{where}: {key} is {'a whole number' if kind is int else 'text in quotes'}")
    try:
        NodeConfig(**{key: value})  # type: ignore[arg-type]  # its type was compared just above
    except Invalid as error:
        raise Misconfigured(f"{where}: {key}: {error}") from error
    return value


def _line_of(text: str, key: str) -> int:
    """The line a top-level key or table begins on."""
    pattern = re.compile(rf"^\s*\[*\s*[\"']?{re.escape(key)}[\"']?\s*[=.\]]")
    return next((number for number, line in enumerate(text.splitlines(), 1) if pattern.match(line)), 1)


def config_text(config: NodeConfig) -> str:
    """A commented file with these settings."""
    return f"""\
# A guts node. Flags of `guts node run` override what stands here.
name = "{config.name}"
http = "{config.http}"  # git, API and pages
p2p = "{config.p2p}"  # other validators
log_level = "{config.log_level}"  # {", ".join(LOG_LEVELS)}
# How long a node that hears nothing new still answers reads of private repositories.
private_read_grace_seconds = {config.private_read_grace_seconds}
"""
