"""RoleML's own files, as plans: runs (its conductor's ``appConfig``), and single actors."""

from .bootstrap import ActorReader
from .conductor import RunReader

__all__ = ["READERS", "ActorReader", "RunReader"]

READERS = (RunReader(), ActorReader())
"""For `roleml_nb.spec.readers`."""
