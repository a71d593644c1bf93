"""The block list: users and addresses that get no service.

One entry a line, `u=<user>[,note]` or `ip=<a.b.c.*>[,note]`; blank lines and lines that begin with # are skipped.
A `*` stands for any number in its place of an IPv4 address; an IPv6 address is written out.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path

from msgspec import Struct

from .errors import ConfigError

OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d|\*)"
PATTERN = re.compile(rf"{OCTET}(?:\.{OCTET}){{3}}")


class Blocklist(Struct, frozen=True):
    """Notes by user, and by the parts of an address (IPv4: four, "*" for any; else the address alone)."""

    users: dict[str, str] = {}
    addresses: dict[tuple[str, ...], str] = {}

    def match(self, user: str, address: str) -> str | None:
        """The note ("" when there is none) of the entry that blocks this user or address, or None."""
        if user in self.users:
            return self.users[user]
        parts = _parts(address) if self.addresses else ()
        for pattern, note in self.addresses.items():
            if len(pattern) == len(parts) and all(p in ("*", q) for p, q in zip(pattern, parts, strict=True)):
                return note
        return None


def parse_blocklist(text: str) -> Blocklist:
    """The list that `text` describes; one wrong line refuses all, with a `ConfigError` that names the line."""
    users: dict[str, str] = {}
    addresses: dict[tuple[str, ...], str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        entry, _, note = line.partition(",")
        kind, _, value = (part.strip() for part in entry.partition("="))
        if kind.lower() == "u" and value:
            users.setdefault(value, note.strip())
        elif kind.lower() == "ip" and (parts := _pattern(value)):
            addresses.setdefault(parts, note.strip())
        else:
            raise ConfigError(f"line {number}: expected u=<user>[,note] or ip=<a.b.c.*>[,note], got {line.strip()!r}")
    return Blocklist(users, addresses)


def load_blocklist(path: Path) -> Blocklist:
    """`parse_blocklist` of a file; its errors begin with the file's name."""
    try:
        return parse_blocklist(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"the block list {path} cannot be read: {exc}") from None
    except ConfigError as exc:
        raise ConfigError(f"{path}, {exc}") from None


def _pattern(text: str) -> tuple[str, ...]:
    """The parts of an entry's address, or () when it is none."""
    if PATTERN.fullmatch(text):
        return tuple(part if part == "*" else str(int(part)) for part in text.split("."))
    return _parts(text) if ":" in text else ()


def _parts(address: str) -> tuple[str, ...]:
    """The parts of a caller's address as a proxy's header or a socket spells it; () when it is none.

    A dual-stack socket shows IPv4 callers as ::ffff:a.b.c.d; they are their IPv4 address here.
    """
    text = address.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        ip = ipaddress.ip_address(text)
    except ValueError:
        return ()
    if isinstance(ip, ipaddress.IPv6Address):
        mapped = ip.ipv4_mapped
        return tuple(str(mapped).split(".")) if mapped else (str(ip),)
    return tuple(text.split("."))
