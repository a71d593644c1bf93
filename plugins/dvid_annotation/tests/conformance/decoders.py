"""Replies with elements, compared by what they mean."""

from __future__ import annotations

import json
from typing import Any

from dvid_core.testing.meaning import DECODERS


def _element(found: dict[str, Any]) -> dict[str, Any]:
    assert len(found["Pos"]) == 3 and all(type(n) is int for n in found["Pos"])
    out = {**found, "Tags": sorted(found["Tags"] or []), "Prop": found["Prop"] or {}}
    if "Rels" in found:
        rels = [{**rel, "Tags": sorted(rel["Tags"])} if rel.get("Tags") else rel for rel in found["Rels"] or []]
        out["Rels"] = sorted(rels, key=lambda rel: (rel["To"], rel["Rel"]))
    return out


def _list(found: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    return sorted(map(_element, found or []), key=lambda e: (e["Pos"], json.dumps(e, sort_keys=True)))


def elements(data: bytes, _: Any) -> Any:
    """A list of elements or an object of lists; their order, null for nothing and empty lists by key mean nothing."""
    found = json.loads(data)
    return {k: _list(v) for k, v in found.items() if v} if isinstance(found, dict) else _list(found)


ELEMENT_DECODERS = {**DECODERS, "elements": elements}
