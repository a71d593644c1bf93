"""`python -m dvid_core` is the command `dvid`."""

from .cli import entry

if __name__ == "__main__":
    entry()
