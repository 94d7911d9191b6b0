"""Configurations: our own spec and the YAML files of RoleML, read, checked, deployed and saved."""

from .entry import ConfigError
from .loading import Source, expand, load, read, save

__all__ = ["ConfigError", "Source", "expand", "load", "read", "save"]
