"""The section [store.<alias>] of a volume, and where it says the volume is."""

from __future__ import annotations

import re
from typing import Any

from dvid_core import ConfigError, StoreConfig

Spec = dict[str, Any]
"""A key-value store as TensorStore describes it; "path" ends with a slash."""

_HTTP = re.compile(r"(https?://[^/?#]+)(/[^?#]*)?(\?[^#]*)?")
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{1,221}", re.ASCII)


class PrecomputedConfig(StoreConfig, frozen=True, kw_only=True):
    """Settings of the engine "ngprecomputed"."""

    ref: str
    """Where the volume is: file:///path, http(s)://..., gs://bucket/path, s3://bucket/path, vast://endpoint/bucket/path;
    without a scheme it is a bucket of Google Cloud Storage and a path."""
    instance: str = ""
    """Name of instances to make at the start: this one for scale 0, then <instance>_1, <instance>_2, ..."""
    uuid: str = ""
    """A version of the repo that gets them; any repo when it is empty."""
    endpoint: str = ""
    """With s3://: the URL of a server that speaks S3 and is not Amazon's."""
    anonymous: bool = False
    """With s3:// and vast://: ask without credentials, for public buckets."""
    timeout: float = 60.0
    """Seconds that a read may take."""

    @property
    def place(self) -> Spec:
        """Where the volume is, for TensorStore.  Raises `ConfigError`."""
        ref = self.ref.removeprefix("precomputed://")
        scheme, mark, rest = ref.partition("://")
        if not mark:
            scheme, rest = "gs", ref
        if scheme == "file":
            if not rest.startswith("/"):
                raise self._wrong("a path behind file:// begins with a slash, as in file:///data/volume")
            return {"driver": "file", "path": rest.rstrip("/") + "/"}
        if scheme in ("http", "https"):
            found = _HTTP.fullmatch(ref)
            if not found:
                raise self._wrong("it is no URL that can be used")
            return {
                "driver": "http",
                "base_url": found[1] + (found[3] or ""),
                "path": (found[2] or "").rstrip("/") + "/",
            }
        if scheme not in ("gs", "s3", "vast"):
            raise self._wrong("it begins with none of file://, http://, https://, gs://, s3://, vast://")
        endpoint = self.endpoint
        if scheme == "vast":
            host, _, rest = rest.partition("/")
            endpoint = f"https://{host}"
        bucket, _, path = rest.partition("/")
        if not _NAME.fullmatch(bucket):
            raise self._wrong(f"{bucket[:80]!r} cannot be the name of a bucket")
        spec: Spec = {"driver": "gcs", "bucket": bucket, "path": f"{path.strip('/')}/".lstrip("/")}
        if scheme == "gs":
            return spec
        spec["driver"] = "s3"
        if endpoint:
            spec |= {"endpoint": endpoint}
        if self.anonymous:
            spec |= {"aws_credentials": {"type": "anonymous"}}
        return spec

    def _wrong(self, why: str) -> ConfigError:
        return ConfigError(f"[store.{self.alias}] ref: {self.ref[:200]!r}: {why}")


def below(place: Spec, folder: str) -> Spec:
    """The place of a folder in another place."""
    return {**place, "path": f"{place['path']}{folder.strip('/')}/"}
