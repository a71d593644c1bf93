"""Finding plug-ins by their entry points and collecting what they offer.

A plug-in that fails to import is reported and left out; the server starts without it.
"""

from __future__ import annotations

import importlib.metadata
import logging
from collections.abc import Iterable
from typing import Any, TypeVar

import pluggy

from . import hookspecs
from .errors import ConfigError
from .instance import Instance
from .mutlog import LogSink
from .storage.base import Store

log = logging.getLogger(__name__)

T = TypeVar("T")


class Plugins:
    """The datatypes, engines and sinks of all installed plug-ins, by name."""

    def __init__(self, datatypes: dict[str, type[Instance]], stores: dict[str, type[Store]],
                 sinks: dict[str, type[LogSink]], failed: dict[str, str]) -> None:  # fmt: skip
        self.datatypes, self.stores, self.sinks = datatypes, stores, sinks
        self.failed = failed
        """Entry points that could not be loaded, and why."""


def load_plugins(extra: Iterable[Any] = ()) -> Plugins:
    """Load the installed plug-ins and `extra` modules or objects.

    Raises `ConfigError` when two distributions offer the same name.
    """
    manager = pluggy.PluginManager("dvid")
    manager.add_hookspecs(hookspecs)
    owners: dict[int, str] = {}
    failed: dict[str, str] = {}
    for entry in importlib.metadata.entry_points(group=hookspecs.GROUP):
        owner = entry.dist.name if entry.dist is not None else entry.value
        try:
            plugin = entry.load()
            if manager.is_registered(plugin):
                continue
            manager.register(plugin)
        except Exception as err:
            failed[entry.name] = f"{type(err).__name__}: {err}"
            log.warning("plug-in %s of %s could not be loaded, its datatypes are missing: %s", entry.name, owner, err)
            log.debug("why plug-in %s could not be loaded", entry.name, exc_info=True)
            continue
        owners[id(plugin)] = owner
    for plugin in extra:
        if manager.is_registered(plugin):
            continue
        manager.register(plugin)
        owners[id(plugin)] = getattr(plugin, "__name__", repr(plugin))

    def collect(hook: str, key: str) -> dict[str, Any]:
        found: dict[str, tuple[Any, str]] = {}
        for impl in getattr(manager.hook, hook).get_hookimpls():
            owner = owners.get(id(impl.plugin), impl.plugin_name)
            for offered in impl.function():
                name = getattr(offered, key)
                if name in found and found[name][0] is not offered:
                    raise ConfigError(
                        f"{name!r} is offered by both {found[name][1]} and {owner}; uninstall one of them"
                    )
                found[name] = (offered, owner)
        return {name: offered for name, (offered, _) in sorted(found.items())}

    return Plugins(
        collect("dvid_datatypes", "typename"),
        collect("dvid_stores", "engine"),
        collect("dvid_log_sinks", "name"),
        failed,
    )
