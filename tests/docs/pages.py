"""The pages of the documentation, and what is fenced in them."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]

_FENCE = re.compile(r"^```(\w*) ?([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(msgspec.Struct, frozen=True):
    """A fenced example: ```` ```<language> <title> ````; the title is the file that it shows, or shows a part of."""

    page: str
    line: int
    language: str
    title: str
    code: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def text_of(name: str) -> str:
    """A page of docs/ by its name."""
    return (DOCS / name).read_text()


def blocks(language: str) -> list[Block]:
    """All examples in a language, of all pages."""
    return [
        Block(page.name, text.count("\n", 0, found.start()) + 1, found[1], found[2].strip(), found[3])
        for page in PAGES
        for text in [page.read_text()]
        for found in _FENCE.finditer(text)
        if found[1] == language
    ]


def section(text: str, heading: str) -> str:
    """What stands under a heading, up to the next one of its level or above."""
    level = len(heading) - len(heading.lstrip("#"))
    lines = text.splitlines()
    start = lines.index(heading) + 1
    stop = next((i for i in range(start, len(lines)) if re.match(rf"#{{1,{level}}} ", lines[i])), len(lines))
    return "\n".join(lines[start:stop])
