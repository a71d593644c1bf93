"""The endpoints of neuronjson."""

from __future__ import annotations

from dvid_core import Reply, Route, View, delete, get, head, post

from .exports import ExportQuery, get_export
from .history import get_history
from .imports import ImportQuery, post_import
from .keyvalue_import import post_import_keyvalue
from .query_handlers import QueryOptions, get_query, post_query
from .reads import (
    CountsQuery,
    FormAndShown,
    get_all,
    get_fields,
    get_fieldtimes,
    get_key,
    get_keyrange,
    get_keyrangevalues,
    get_keys,
    get_keyvalues,
    head_key,
)
from .selection import Shown
from .writes import WriteQuery, delete_key, post_key, post_keyvalues, schema_routes


async def post_info(view: View) -> Reply:
    """The same as GET info: there are no settings to change.

        POST /api/node/3f8c/neurons/info
    """  # fmt: skip
    return Reply.json(await view.instance.full_info(view))


ROUTES: tuple[Route, ...] = (
    get("key/{key}", get_key, query=Shown),
    head("key/{key}", head_key),
    post("key/{key}", post_key, query=WriteQuery),
    delete("key/{key}", delete_key),
    get("keys", get_keys),
    get("keyrange/{first}/{last}", get_keyrange),
    get("keyrangevalues/{first}/{last}", get_keyrangevalues, query=FormAndShown),
    get("keyvalues", get_keyvalues, query=FormAndShown),
    post("keyvalues", post_keyvalues, query=WriteQuery),
    get("all", get_all, query=Shown),
    get("query", get_query, query=QueryOptions),
    post("query", post_query, query=QueryOptions, mutates=False),
    get("fields", get_fields, query=CountsQuery),
    get("fieldtimes", get_fieldtimes),
    get("history/{body}/{field}", get_history),
    get("export", get_export, query=ExportQuery),
    post("import", post_import, query=ImportQuery),
    post("import-keyvalue/{name}", post_import_keyvalue),
    *schema_routes("schema"),
    *schema_routes("schema_batch"),
    *schema_routes("json_schema"),
    post("info", post_info, mutates=False),
)
