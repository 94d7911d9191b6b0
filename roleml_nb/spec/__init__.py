"""Specs: deployments as files and plain data, read into plans and checked.

Our own spec and the YAML files of RoleML; nothing here knows a testbed.
"""

from .entry import ConfigError
from .loading import Source, expand, read, write_spec

__all__ = ["ConfigError", "Source", "expand", "read", "write_spec"]
