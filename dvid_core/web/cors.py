"""Cross-origin headers, as `[server] corsDomains` asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

METHODS = ("GET", "POST", "DELETE", "HEAD")


class Cors:
    """No origins: no header at all; "*": everybody; else the listed origins."""

    def __init__(self, origins: Sequence[str], allow_timing: bool) -> None:
        self.everybody = "*" in origins
        self.origins = frozenset(o.rstrip("/") for o in origins)
        self.timing = allow_timing
        self.active = bool(origins) or allow_timing

    def headers(self, request: Mapping[str, str], data: bool) -> dict[str, str]:
        """What every reply carries; `data`: it is one of a data instance."""
        out: dict[str, str] = {}
        if self.everybody:
            out["Access-Control-Allow-Origin"] = "*"
        elif self.origins:
            out["Vary"] = "Origin"
            if request.get("Origin") in self.origins:
                out["Access-Control-Allow-Origin"] = request["Origin"]
        if self.timing and data:
            out["Timing-Allow-Origin"] = "*"
        return out

    def preflight(self, request: Mapping[str, str]) -> dict[str, str] | None:
        """The headers of the answer to a preflight, None when this is none or its origin is not let in."""
        method = request.get("Access-Control-Request-Method", "")
        origin = request.get("Origin", "")
        if method not in METHODS or not (self.everybody or origin in self.origins):
            return None
        out = {
            "Access-Control-Allow-Origin": "*" if self.everybody else origin,
            "Access-Control-Allow-Methods": method,
            "Vary": "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
        }
        if asked := request.get("Access-Control-Request-Headers"):
            out["Access-Control-Allow-Headers"] = asked
        return out
