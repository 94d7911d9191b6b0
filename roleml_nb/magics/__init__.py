"""``%load_ext roleml_nb``: the magics ``%rml`` and ``%%role``."""

from typing import Any

from .rml import RoleMagics
from .values import VALUE_MAGIC, ValueTransformer

__all__ = ["RoleMagics", "load_ipython_extension", "unload_ipython_extension"]


def load_ipython_extension(ip: Any) -> None:
    """Register the magics. Loading twice keeps the running testbed."""
    if "RoleMagics" in ip.magics_manager.registry:
        return
    magics = RoleMagics(ip)
    ip.register_magics(magics)
    context = magics.context
    ip.events.register("post_run_cell", context.report_notifications)
    ip.events.register("post_run_cell", context.history.add)
    ip.ast_transformers.append(ValueTransformer())
    ip.set_hook("complete_command", magics.complete, str_key="%rml")


def unload_ipython_extension(ip: Any) -> None:
    """Stop the testbed of this shell and forget the magics."""
    magics = ip.magics_manager.registry.pop("RoleMagics", None)
    if magics is None:
        return
    context = magics.context
    ip.events.unregister("post_run_cell", context.report_notifications)
    ip.events.unregister("post_run_cell", context.history.add)
    if context.bed is not None:
        context.bed.stop()
    for transformer in list(ip.ast_transformers):
        if isinstance(transformer, ValueTransformer):
            ip.ast_transformers.remove(transformer)
    for kind, name in (
        ("line", "rml"),
        ("line", VALUE_MAGIC),
        ("cell", "rml"),
        ("cell", "role"),
    ):
        ip.magics_manager.magics[kind].pop(name, None)
