"""Test kits for the project and for third parties; they need the extra "test"."""

from .stores import StoreMachine, StoreSuite

__all__ = ["StoreMachine", "StoreSuite"]
