"""The block list: what a line means, and that a wrong one changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from dvid_core.blocklist import Blocklist, load_blocklist, parse_blocklist
from dvid_core.errors import ConfigError

TEXT = """
# people
u=mallory,please use the batch server, thanks
 U = bob
ip=10.0.7.*,too many requests
IP=192.168.1.2
ip=2001:db8::1,six
"""


@pytest.mark.parametrize(
    ("user", "address", "note"),
    [
        ("mallory", "127.0.0.1", "please use the batch server, thanks"),
        ("bob", "", ""),
        ("Bob", "127.0.0.1", None),
        ("", "10.0.7.255", "too many requests"),
        ("alice", "10.0.7.1", "too many requests"),
        ("", "10.0.70.1", None),
        ("", "110.0.7.1", None),
        ("", "10.0.7.1:54321", "too many requests"),
        ("", "::ffff:10.0.7.1", "too many requests"),
        ("", '"[::ffff:10.0.7.1]:4711"', "too many requests"),
        ("", "192.168.1.2", ""),
        ("", "192.168.1.20", None),
        ("", "2001:DB8:0::1", "six"),
        ("", "[2001:db8::1]:80", "six"),
        ("", "2001:db8::2", None),
        ("", "unknown", None),
        ("", "", None),
    ],
)
def test_match_gives_the_note_of_the_entry_or_none(user: str, address: str, note: str | None) -> None:
    assert parse_blocklist(TEXT).match(user, address) == note


@pytest.mark.parametrize("text", ["", "\n \n", "# only a comment\n  # and another"])
def test_a_list_without_entries_blocks_nobody(text: str) -> None:
    assert parse_blocklist(text) == Blocklist()
    assert parse_blocklist(text).match("", "127.0.0.1") is None


@pytest.mark.parametrize(
    "line",
    [
        "mallory",
        "user=mallory",
        "u=",
        "u= ,note",
        "ip=",
        "ip=10.0.7",
        "ip=10.0.7.256",
        "ip=10.0.7.*.1",
        "ip=10.0.7.1*",
        "ip=host",
        "ip=zz::1",
    ],
)
def test_one_wrong_line_refuses_the_whole_list_and_is_named(line: str) -> None:
    with pytest.raises(ConfigError, match=r"^line 3: ") as caught:
        parse_blocklist(f"u=bob\n\n{line}\nu=eve")
    assert repr(line) in str(caught.value)


def test_the_first_entry_of_a_user_counts() -> None:
    assert parse_blocklist("u=bob,one\nu=bob,two").match("bob", "") == "one"


def test_errors_of_a_file_name_it(tmp_path: Path) -> None:
    path = tmp_path / "blocked"
    with pytest.raises(ConfigError, match="blocked"):
        load_blocklist(path)
    path.write_text("u=bob\nnonsense")
    with pytest.raises(ConfigError, match="blocked, line 2"):
        load_blocklist(path)
    path.write_text("u=bob")
    assert load_blocklist(path).match("bob", "") == ""
