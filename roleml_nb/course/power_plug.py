"""A role that ends its process, for lessons on failures."""

from __future__ import annotations

import os

from roleml_nb.role import Role, RoleInstanceID, Service

__all__ = ["PowerPlug"]


class PowerPlug(Role):
    """Ends its own process at once and without a word, as a power cut does."""

    @Service(expand=True)
    def pull(self, caller: RoleInstanceID) -> None:
        os._exit(1)
