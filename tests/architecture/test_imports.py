"""Imports go one way, and every module imports alone."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import pytest

import dvid_core

ROOT = Path(__file__).parents[2]
CORE = ROOT / "dvid_core"

LAYERS = (
    "errors keys dag locks kernels events blobs records tasks",
    "ids requests settings blocklist traffic storage storage.base",
    "storage.memory storage.hot storage.rocks storage.rocks_files storage.wrap routes values mutlog config",
    "instance view mutation jsonlog",
    "hookspecs builtin plugins bus repo sweep resolve help",
    "__init__ client",
    "repos server",
    "web web.*",
    "cli __main__",
    "testing testing.*",
)
"""The modules of dvid_core; each imports from its own line and the lines above only."""

LIBRARIES = {"dvid_messages", "dvid_voxels"}
"""What several plug-ins share."""

HTTP = {"aiohttp", "multidict", "uvloop", "yarl"}
SERVING = {"aiohttp.web", "uvloop"}
"""What a plug-in must leave to the web layer; being a client of another service is its own business."""
"""Imported by the layers `web` and `testing` alone."""

SLOW = {"numba", "blosc2"}
"""Take a good part of a second to import, so plug-ins load them when they are needed."""
PATIENT = [
    "dvid_core.testing", "dvid_labelmap.kernels", "dvid_voxels.labels.jit", "dvid_voxels.labels.kernels",
    "dvid_voxels.segmentation.kernels",
]  # fmt: skip
"""Modules that may load them: they are themselves imported when they are needed."""


class Module:
    """A source file and what it imports when it runs: whatever is not under `if TYPE_CHECKING`."""

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name
        self.package = name if path.name == "__init__.py" else name.rpartition(".")[0]

    @cached_property
    def tree(self) -> ast.Module:
        """The source, parsed when it is asked for, so that a broken file fails its own tests only."""
        return ast.parse(self.path.read_text())

    def __str__(self) -> str:
        return self.name

    def imports(self) -> Iterator[tuple[str, str]]:
        """(module, name taken from it or "")."""
        for node in _running(self.tree):
            if isinstance(node, ast.Import):
                yield from ((alias.name, "") for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = node.module or ""
                if node.level:
                    parts = self.package.split(".")
                    base = ".".join(parts[: len(parts) - node.level + 1] + ([base] if base else []))
                yield from ((base, alias.name) for alias in node.names)


def _running(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield node
            yield from _running(node)


def modules_of(package: Path) -> list[Module]:
    """The modules of a package, `__init__` among them under the package's name."""
    out = []
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        out.append(Module(path, ".".join(parts[:-1] if parts[-1] == "__init__" else parts)))
    return out


def distributions() -> list[Path]:
    """The packages of all plug-ins and examples."""
    found = [*ROOT.glob("plugins/*/pyproject.toml"), *ROOT.glob("examples/*/pyproject.toml")]
    return sorted(p.parent / p.parent.name for p in found if (p.parent / p.parent.name / "__init__.py").exists())


CORE_MODULES = modules_of(CORE)
PLUGIN_MODULES = [m for package in distributions() for m in modules_of(package)]


def layer_of(name: str) -> int | None:
    """The number of a core module's layer, None when the table does not have it."""
    short = name.removeprefix("dvid_core").lstrip(".") or "__init__"
    for number, line in enumerate(LAYERS):
        if short in line.split() or f"{short.partition('.')[0]}.*" in line.split():
            return number
    return None


def target(base: str, name: str) -> str:
    """The core module that `from base import name` runs: a submodule, or the module itself."""
    inside = ROOT / f"{base}.{name}".replace(".", "/")
    return f"{base}.{name}" if inside.with_suffix(".py").exists() or (inside / "__init__.py").exists() else base


@pytest.mark.parametrize("module", CORE_MODULES, ids=str)
def test_the_core_imports_from_its_own_layer_and_those_below(module: Module) -> None:
    own = layer_of(module.name)
    assert own is not None, f"{module} is in no layer; give it a place in LAYERS"
    wrong = []
    for base, name in module.imports():
        if (base.partition(".")[0] == "dvid_core" and base != "dvid_core") or target(base, name) != base:
            other = layer_of(target(base, name))
            if other is None or other > own:
                wrong.append(target(base, name))
    assert wrong == []


@pytest.mark.parametrize("module", CORE_MODULES, ids=str)
def test_only_the_web_layer_knows_http_libraries(module: Module) -> None:
    if module.name.split(".")[1:2] in (["web"], ["testing"]):
        return
    assert {base.partition(".")[0] for base, _ in module.imports()} & HTTP == set()


@pytest.mark.parametrize("module", CORE_MODULES, ids=str)
def test_the_core_knows_no_plug_in(module: Module) -> None:
    packages = {base.partition(".")[0] for base, _ in module.imports()}
    assert {p for p in packages if p.startswith("dvid_")} <= {"dvid_core"}


@pytest.mark.parametrize("module", PLUGIN_MODULES, ids=str)
def test_a_plug_in_imports_public_names_and_no_other_plug_in(module: Module) -> None:
    own = module.name.partition(".")[0]
    allowed = {own, "dvid_core"} if own in LIBRARIES else {own, "dvid_core", *LIBRARIES}
    is_kit = module.name.split(".")[1:2] == ["testing"]
    wrong = []
    for base, name in module.imports():
        package = base.partition(".")[0]
        if is_kit and base.startswith("dvid_core.testing"):
            continue  # a test kit builds on the core's
        if package.startswith("dvid_") and package not in allowed:
            wrong.append(f"{base} is of another plug-in")
        elif package == "dvid_core" and not (base == "dvid_core" and name in dvid_core.__all__):
            wrong.append(f"{base} {name} is not among the public names")
        elif base in SERVING or (base == "aiohttp" and name == "web"):
            wrong.append(f"{base} is the web layer's")
    assert wrong == []


@pytest.mark.parametrize("module", [*CORE_MODULES, *PLUGIN_MODULES], ids=str)
def test_there_is_no_state_outside_of_objects(module: Module) -> None:
    """No `global`, and no empty container at the top of a module that only waits to be filled."""
    wrong = [f"line {n.lineno}: global" for n in ast.walk(module.tree) if isinstance(n, ast.Global)]
    for node in module.tree.body:
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
        if value is not None and ast.unparse(value) in ("[]", "{}", "set()", "dict()", "list()", "defaultdict(list)"):
            wrong.append(f"line {node.lineno}: {ast.unparse(node)}")
    assert wrong == []


def test_public_names_are_those_that_are_there() -> None:
    assert [name for name in dvid_core.__all__ if not hasattr(dvid_core, name)] == []
    assert len(set(dvid_core.__all__)) == len(dvid_core.__all__)


ALONE = """
import importlib, json, os, sys, traceback, warnings
names, slow, patient = json.loads(sys.argv[1])
patient = tuple(patient)
# What is not ours is loaded once, so that a fork and an import take some milliseconds.
import aiohttp.web, click, msgpack, msgspec, numpy, pluggy, rocksdict, tomllib, uvloop
import hypothesis.stateful, pytest, pytest_asyncio
ours = [m for m in sys.modules if m.startswith("dvid")]
failed = {"before": f"{ours} came along"} if ours else {}
for name in names:
    read, write = os.pipe()
    if (pid := os.fork()) == 0:
        said = ""
        try:
            warnings.simplefilter("error", DeprecationWarning)
            importlib.import_module(name)
            if not name.startswith(patient) and (loaded := sorted(set(slow) & sys.modules.keys())):
                said = f"loads {loaded}"
        except BaseException:
            said = traceback.format_exc()
        os.write(write, said.encode()[-4000:])
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        if said := pipe.read():
            failed[name] = said
    _, status = os.waitpid(pid, 0)
    if status:
        failed[name] = f"ended with status {status}"
print(json.dumps(failed))
"""


def test_every_module_imports_alone() -> None:
    names = [m.name for m in [*CORE_MODULES, *PLUGIN_MODULES] if not m.name.endswith("__main__")]
    places = [str(ROOT), *(str(package.parent) for package in distributions()), os.environ.get("PYTHONPATH", "")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))}
    command = [sys.executable, "-c", ALONE, json.dumps([names, sorted(SLOW), PATIENT])]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {}
