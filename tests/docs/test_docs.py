"""The documentation names everything that it must, and what it shows is right."""

from __future__ import annotations

import ast
import inspect
import re
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from textwrap import dedent
from typing import Any, get_type_hints
from urllib.parse import unquote

import click
import msgspec
import pytest

import dvid_core
from dvid_core import config, hookspecs
from dvid_core.builtin import dvid_stores
from dvid_core.cli import main
from dvid_core.storage.base import StoreConfig

from .pages import DOCS, PAGES, ROOT, Block, blocks, section, text_of

OPERATORS = text_of("operators.md")


def is_settings(kind: Any) -> bool:
    """Whether a field of the configuration is a section of its own; stores and assignments have one for each name."""
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind is not config.Backend


SECTIONS: dict[str, type[msgspec.Struct]] = {
    **{f"[{name}]": kind for name, kind in get_type_hints(config.Config).items() if is_settings(kind)},
    "[backend.<spec>]": config.Rule,
    "[store.<alias>]": StoreConfig,
}
"""The sections of a configuration, and what they are read into."""
GIVEN_BY_THE_SERVER = {"alias", "spec"}
"""Fields that come from a section's name."""


# Hooks

HOOKS = [name for name, f in vars(hookspecs).items() if inspect.isfunction(f) and hasattr(f, "dvid_spec")]


def test_there_are_hooks() -> None:
    assert "dvid_datatypes" in HOOKS


@pytest.mark.parametrize("name", HOOKS)
def test_each_hook_has_a_chapter_with_its_signature(name: str) -> None:
    signature = str(inspect.signature(getattr(hookspecs, name))).replace("'", "")
    short = re.sub(r"\b(?:\w+\.)+(\w+)", r"\1", signature)
    assert f"{name}{short}" in section(text_of("hooks.md"), f"## `{name}`")


# Configuration


def keys() -> Iterator[tuple[str, str, str]]:
    """Section, key and default (in TOML's words) of all settings."""
    for where, kind in SECTIONS.items():
        for field in msgspec.structs.fields(kind):
            if field.name not in GIVEN_BY_THE_SERVER:
                yield where, field.encode_name, default_of(field)
    yield "[store.<alias>]", "engine", "required"
    shared = {f.name for f in msgspec.structs.fields(StoreConfig)}
    for engine in dvid_stores():
        for field in msgspec.structs.fields(engine.Config):
            if field.name not in shared:
                yield "[store.<alias>]", field.encode_name, default_of(field)


def default_of(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    value = field.default
    if value is None:
        return "unset"
    text = {"()": "[]", "True": "true", "False": "false"}.get(repr(value), repr(value).replace("'", '"'))
    return f"`{text}`"


@pytest.mark.parametrize(("where", "key", "default"), list(keys()))
def test_each_key_of_the_configuration_has_a_row_with_its_default(where: str, key: str, default: str) -> None:
    rows = [line.split(" | ") for line in section(OPERATORS, f"### `{where}`").splitlines()]
    found = [row[1] for row in rows if row[0] == f"| `{key}`"]
    assert found == [default]


@pytest.mark.parametrize("where", list(SECTIONS))
def test_no_row_is_of_a_key_that_is_not_there(where: str) -> None:
    known = {key for place, key, _ in keys() if place == where}
    assert set(re.findall(r"^\| `(\w+)` \|", section(OPERATORS, f"### `{where}`"), re.MULTILINE)) == known


@pytest.mark.parametrize("name", [*config.LATER_SECTIONS, *(k for ks in config.LATER_KEYS.values() for k in ks)])
def test_what_is_not_supported_is_said(name: str) -> None:
    assert re.search(rf"`\[?{name}\]?`", section(OPERATORS, "### Sections and keys that do nothing yet"))


@pytest.mark.parametrize("engine", [*(e.engine for e in dvid_stores()), *config.REPLACED_ENGINES, *config.LOG_ENGINES])
def test_each_engine_is_named(engine: str) -> None:
    assert engine in OPERATORS


# Command line


def commands(group: click.Group, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)
        else:
            yield (*path, name), command


COMMANDS = dict(commands(main))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_each_command_has_a_row_with_its_flags(path: tuple[str, ...]) -> None:
    chapter = section(OPERATORS, "## Command line")
    rows = [r for r in chapter.splitlines() if re.match(rf"\| `dvid {'( [A-Z]+)? '.join(path)}\b", r)]
    assert rows, f"no row of `dvid {' '.join(path)}`"
    flags = [p for p in COMMANDS[path].params if isinstance(p, click.Option) and not p.hidden]
    for flag in flags:
        assert any(flag.opts[0] in text for text in (*rows, chapter.partition("| `dvid types")[0])), flag.opts


# Names that plug-ins import


@pytest.mark.parametrize("name", dvid_core.__all__)
def test_each_public_name_is_explained(name: str) -> None:
    pages = text_of("write-a-datatype.md") + text_of("internals.md") + text_of("write-a-store.md")
    assert re.search(rf"`[^`\n]*\b{name}\b[^`\n]*`", pages)


def modules() -> Iterator[str]:
    """The modules of the core, by their paths below dvid_core."""
    package = Path(dvid_core.__file__).parent
    for place in [package, *(package / m.name for m in iter_modules([str(package)]) if m.ispkg)]:
        for found in iter_modules([str(place)]):
            if not found.ispkg:
                yield str((place / f"{found.name}.py").relative_to(package))


@pytest.mark.parametrize("module", sorted(modules()))
def test_each_module_is_in_the_map(module: str) -> None:
    assert f"`{module}`" in section(text_of("internals.md"), "## Module map")


# Links and examples

LINK = re.compile(r"\[[^\]\n]+\]\(([^)\s]+)\)")


def links() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for target in LINK.findall(page.read_text()):
            if "://" not in target:
                yield str(page.relative_to(ROOT)), target


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize(("page", "target"), list(links()))
def test_a_link_leads_somewhere(page: str, target: str) -> None:
    path, _, anchor = unquote(target).partition("#")
    found = (ROOT / page).parent / path if path else ROOT / page
    assert found.exists()
    if anchor:
        assert anchor in anchors(found)


def test_the_readme_leads_to_every_page() -> None:
    named = {target for page, target in links() if page == "README.md"}
    assert {f"docs/{page.name}" for page in DOCS.glob("*.md")} <= named


@pytest.mark.parametrize("block", blocks("toml"), ids=str)
def test_a_toml_example_is_a_configuration_without_unknown_words(block: Block, tmp_path: Path) -> None:
    if block.title:
        assert tomllib.loads(block.code)
        return
    named = "[store." in block.code
    found = config.parse_config(block.code, tmp_path, None if named else tmp_path)
    assert not [w for w in found.warnings if "unknown" in w or "fits no instance" in w]


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_a_python_example_compiles(block: Block) -> None:
    compile(dedent(block.code), str(block), "exec")


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_what_a_python_example_imports_of_the_core_is_there(block: Block) -> None:
    imports = [n for n in ast.walk(ast.parse(dedent(block.code))) if isinstance(n, ast.ImportFrom)]
    for module, names in ((n.module or "", n.names) for n in imports):
        if module.startswith("dvid_core"):
            assert [a.name for a in names if not hasattr(import_module(module), a.name)] == []


@pytest.mark.parametrize("block", [b for b in blocks("python") if b.title.startswith("examples/")], ids=str)
def test_what_is_shown_of_the_example_is_its_code(block: Block) -> None:
    assert block.code in (ROOT / block.title).read_text()
