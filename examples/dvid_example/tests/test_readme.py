"""The README shows the code that is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

HERE = Path(__file__).parents[1]
BLOCKS = re.findall(r"```\w+\n(.*?)```", (HERE / "README.md").read_text(), re.DOTALL)


def plain(text: str) -> str:
    """The text without blank lines and indentation."""
    return "\n".join(line.strip() for line in text.splitlines() if line.strip())


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_code_of_the_readme_is_in_the_files(block: str) -> None:
    files = [*HERE.glob("*/*.py"), HERE / "pyproject.toml"]
    assert any(plain(block) in plain(file.read_text()) for file in files)


def test_readme_shows_code_of_every_file() -> None:
    for file in (HERE / "dvid_example").glob("*.py"):
        shown = any(plain(block) in plain(file.read_text()) for block in BLOCKS)
        assert shown or file.name == "events.py"


def test_package_imports_public_names_only() -> None:
    for file in (HERE / "dvid_example").glob("*.py"):
        modules = re.findall(r"^(?:from|import) (dvid_core\S*)", file.read_text(), re.MULTILINE)
        assert set(modules) <= {"dvid_core"}
