"""A plug that can be pulled."""

from __future__ import annotations

import os

from roleml_nb.role import Role, RoleInstanceID, Service

__all__ = ["PowerPlug"]


class PowerPlug(Role):
    """Ends the process that it lives in, at once and without a word, as a power cut does."""

    @Service(expand=True)
    def pull(self, caller: RoleInstanceID) -> None:
        os._exit(1)
