"""What every datatype must pass, asked over HTTP: `DatatypeSuite`.

    class TestTally(DatatypeSuite):
        typename = "tally"
        plugin = dvid_example

        async def write(self, api: Api, place: str, i: int) -> None:
            await api.post(f"{place}/add/counter-{i}")

        async def read(self, api: Api, place: str) -> Any:
            return await api.get(f"{place}/counts")

`place` is the path of an instance at a version, without a slash at its end.
"""

from __future__ import annotations

import typing
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import msgspec
import pytest
import pytest_asyncio

from ..instance import Instance
from ..routes import Route, RouteTable
from ..web.instance_api import ROUTES as INHERITED
from .api import Api
from .fixtures import RunningServer, running
from .garbage import GARBAGE
from .paths import paths

METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH")
BASE_INFO = {"TypeName", "TypeURL", "TypeVersion", "DataUUID", "Name", "RepoUUID", "Compression", "Checksum", "Tags"}
MORE_INFO = {"Syncs", "Versioned", "KVStore", "LogStore"}
WRONG_SETTINGS: tuple[dict[str, Any], ...] = (
    {"versioned": "maybe"}, {"versioned": 1}, {"Compression": "none such"}, {"Compression": 3}, {"Checksum": "md5"},
    {"Tags": {"a": "b"}}, {"dataname": ""}, {"dataname": "a/b"}, {"dataname": None}, {"typename": "none such"},
)  # fmt: skip


class DatatypeSuite:
    """Checks a datatype against the contract that all share.  Subclass it and define `write` and `read`."""

    typename: ClassVar[str]
    plugin: ClassVar[ModuleType]
    settings: ClassVar[Mapping[str, Any]] = {}
    """What an instance is made with."""
    bad_settings: ClassVar[Sequence[Mapping[str, Any]]] = ()
    """Settings that must be refused, beside those of the wrong kind, which are found from the declaration."""
    samples: ClassVar[Mapping[str, str]] = {}
    """Texts for the parameters of paths by their names, where those of `testing.paths` will not do."""
    garbage: ClassVar[Sequence[bytes]] = GARBAGE

    async def write(self, api: Api, place: str, i: int) -> None:
        """The i-th of several writes; each changes what `read` gives."""
        raise NotImplementedError

    async def read(self, api: Api, place: str) -> Any:
        """All that was written, in a form that `==` compares."""
        raise NotImplementedError

    # -- the server and what it has

    @pytest_asyncio.fixture
    async def api(self, tmp_path: Path) -> AsyncIterator[RunningServer]:
        async with running("memory", tmp_path, plugins=[self.plugin]) as server:
            yield server

    @pytest_asyncio.fixture
    async def root(self, api: RunningServer) -> str:
        return await api.repo()

    @pytest_asyncio.fixture
    async def place(self, api: RunningServer, root: str) -> str:
        """An instance at its root, with one write."""
        place = await self.make(api, root)
        await self.write(api, place, 0)
        return place

    async def make(self, api: Api, uuid: str, name: str = "data", **settings: Any) -> str:
        return await api.instance(uuid, name, self.typename, **{**self.settings, **settings})

    @pytest.fixture
    def kind(self, api: RunningServer) -> type[Instance]:
        return api.server.types[self.typename]

    def paths(self, routes: Sequence[Route]) -> Iterator[tuple[Route, str]]:
        return paths(routes, self.samples)

    # -- making an instance

    async def test_wrong_settings_are_refused_by_name_and_make_nothing(
        self, api: Api, root: str, kind: type[Instance]
    ) -> None:
        hints = typing.get_type_hints(kind.Settings)
        fields = [f for f in msgspec.structs.fields(kind.Settings) if hints[f.name] is not Any]
        wrong = [*WRONG_SETTINGS, *self.bad_settings, *({f.encode_name: {"no": "such"}} for f in fields)]
        for bad in wrong:
            body = {"typename": self.typename, "dataname": "data", **self.settings, **bad}
            async with api.unchanged():
                answer = await api.ask("POST", f"/api/repo/{root}/instance", json=body)
            assert answer.status == 400, f"{bad}: {answer.status}, not 400"
            assert any(name.lower() in answer.text.lower() for name in bad), f"{bad} is not named: {answer.text}"

    async def test_info_has_base_and_extended(self, api: Api, root: str) -> None:
        info = await api.get(f"{await self.make(api, root)}/info")
        assert info.keys() >= {"Base", "Extended"} and isinstance(info["Extended"], dict)
        assert info["Base"].keys() == BASE_INFO | MORE_INFO
        base = info["Base"]
        assert (base["TypeName"], base["Name"], base["RepoUUID"], base["Syncs"]) == (self.typename, "data", root, [])
        assert (await api.repo_info(root))["DataInstances"]["data"] == info

    async def test_help_tells_of_every_route_and_option(self, api: Api, root: str, kind: type[Instance]) -> None:
        text = await api.get(f"/api/help/{self.typename}")
        assert text == await api.get(f"{await self.make(api, root)}/help")
        wanted = [kind.__doc__ or "", *kind.Settings.__struct_encode_fields__]
        for route in (*kind.routes, *INHERITED):
            wanted += [f"{route.method} /api/node/<uuid>/<name>/{route.pattern}".replace("{", "<").replace("}", ">")]
            options = route.query.options if route.query else ()
            wanted += [route.about, *(w for o in options for w in (o.name, o.about))]
        words = " ".join(text.decode().split())
        assert [w for w in wanted if " ".join(w.split()) not in words] == []

    # -- versions

    async def test_write_to_a_child_is_not_seen_by_its_parent_or_siblings(self, api: Api, root: str) -> None:
        place = await self.make(api, root)
        empty = await self.read(api, place)
        await self.write(api, place, 0)
        first = await self.read(api, place)
        assert first != empty, "write changes nothing that read shows"
        await api.commit(root)
        child, sibling = [f"/api/node/{await api.branch(root, name)}/data" for name in ("one", "two")]
        assert await self.read(api, child) == first
        await self.write(api, child, 1)
        second = await self.read(api, child)
        assert second != first
        assert [await self.read(api, p) for p in (place, sibling)] == [first, first]

    async def test_locked_node_refuses_every_route_that_mutates_and_says_so(
        self, api: Api, root: str, place: str, kind: type[Instance]
    ) -> None:
        await api.commit(root)
        before = await self.read(api, place)
        table = RouteTable(kind.routes)
        inherited = [r for r in INHERITED if table.find(r.method, r.word) is None]
        for route, path in self.paths([*kind.routes, *inherited]):
            if route.mutates:
                answer = await api.ask(route.method, f"{place}/{path}", b"{}")
                assert answer.status == 400, f"{route}: {answer.status}, not 400"
                assert "committed" in answer.text, f"{route}: {answer.text}"
        with pytest.raises(AssertionError):
            await self.write(api, place, 1)
        assert await self.read(api, place) == before

    async def test_unversioned_instance_is_one_for_all_versions_locked_or_not(self, api: Api, root: str) -> None:
        place = await self.make(api, root, versioned=False)
        await api.commit(root)
        child = f"/api/node/{await api.newversion(root)}/data"
        await self.write(api, place, 0)
        await self.write(api, child, 1)
        assert await self.read(api, place) == await self.read(api, child)

    async def test_instances_do_not_see_each_other(self, api: Api, root: str) -> None:
        one, two = await self.make(api, root, "one"), await self.make(api, root, "two")
        before = await self.read(api, two)
        await self.write(api, one, 0)
        assert await self.read(api, two) == before

    # -- methods and endpoints

    async def test_options_never_writes(self, api: Api, place: str, kind: type[Instance]) -> None:
        before = [await self.read(api, place), await api.get(f"{place}/info")]
        for _, path in self.paths([*kind.routes, *INHERITED]):
            for body in (b"", b"{}", b"\x01" * 64):
                answer = await api.ask("OPTIONS", f"{place}/{path}", body)
                assert answer.status in (200, 204) and answer.body == b""
        assert [await self.read(api, place), await api.get(f"{place}/info")] == before

    async def test_unknown_endpoints_and_methods_are_refused(self, api: Api, place: str, kind: type[Instance]) -> None:
        before = await self.read(api, place)
        known = {(r.method, r.word) for r in (*kind.routes, *INHERITED)}
        paths = [("none-such", "none-such"), ("none-such", "none-such/x")]
        paths += [(route.word, path) for route, path in self.paths([*kind.routes, *INHERITED])]
        for word, path in paths:
            for method in METHODS:
                if (method, word) not in known:
                    answer = await api.ask(method, f"{place}/{path}", b"{}" if method != "GET" else None)
                    assert answer.status == 400, f"{method} {path}: {answer.status}, not 400"
        await api.get(place, status=404)
        assert await self.read(api, place) == before

    async def test_head_agrees_with_get(self, api: Api, place: str, kind: type[Instance]) -> None:
        for route, path in self.paths([*kind.routes, *INHERITED]):
            if route.method == "GET":
                got, head = [await api.ask(method, f"{place}/{path}") for method in ("GET", "HEAD")]
                assert (head.status, head.body) == (got.status, b""), f"HEAD {path}"

    async def test_garbage_is_refused_and_changes_nothing_or_leaves_what_can_be_read(
        self, api: RunningServer, place: str, kind: type[Instance]
    ) -> None:
        before = await self.read(api, place)
        for route, path in self.paths([*kind.routes, *(r for r in INHERITED if r.word != "sync")]):
            for body in self.garbage if route.mutates else ():
                answer = await api.ask(route.method, f"{place}/{path}", body)
                assert answer.status < 500, f"{route} with {body[:40]!r}: {answer.text}"
                after = await self.read(api, place)
                assert answer.status < 400 or after == before, (
                    f"{route} refused {body[:40]!r} and yet changed something"
                )
                before = after
        await self.write(api, place, 1)

    # -- the log and the restart

    async def test_log_tells_of_each_write_at_its_version(self, api: Api, root: str) -> None:
        place = await self.make(api, root)
        assert await api.get(f"{place}/mutations") == []
        await self.write(api, place, 0)
        first = await api.get(f"{place}/mutations")
        assert [entry["UUID"] for entry in first] == [root] * max(1, len(first))
        await api.commit(root)
        child = f"/api/node/{await api.newversion(root)}/data"
        assert await api.get(f"{child}/mutations") == []
        await self.write(api, child, 1)
        assert await api.get(f"{place}/mutations") == first != await api.get(f"{child}/mutations") != []

    async def test_restart_keeps_every_answer(self, tmp_path: Path) -> None:
        async with running("rocksdb", tmp_path, plugins=[self.plugin]) as api:
            root = await api.repo()
            place = await self.make(api, root)
            for i in range(3):
                await self.write(api, place, i)
            await api.commit(root)
            child = f"/api/node/{await api.newversion(root)}/data"
            await self.write(api, child, 3)

            async def answers() -> list[Any]:
                own = [await self.read(api, p) for p in (place, child)]
                return own + [await api.get(f"{p}/{word}") for p in (place, child) for word in ("info", "mutations")]

            before = await answers()
            await api.restart()
            assert await answers() == before
            await self.write(api, child, 4)
            assert await self.read(api, child) != before[1]
