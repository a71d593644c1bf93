"""Test kits for the project and for third parties; they need the extra "test".

Fixtures are in `dvid_core.testing.fixtures`, recorded exchanges in `dvid_core.testing.replay`.
"""

from .api import Answer, Api
from .gil import assert_releases_gil
from .store_machine import StoreMachine
from .stores import StoreSuite

__all__ = ["Answer", "Api", "StoreMachine", "StoreSuite", "assert_releases_gil"]
