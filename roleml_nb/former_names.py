"""Former names of modules and classes, for files and programs that earlier versions have written.

Specs, checkpoints and programs of users hold dotted names. A module that has moved is found under
its former name, too: as a stand-in that looks each attribute up where it is now. Programs that
import one are warned; files that refer to one are read without a warning, since their text is kept.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

__all__ = ["CLASSES", "MODULES", "install"]

PACKAGE = __name__.partition(".")[0]
MODULES = {
    "actor.checkpoint": "actor.snapshot",
    "actor.emissions": "actor.events.emissions",
    "actor.failures": "actor.replay",
    "actor.inbox": "actor.events.inbox",
    "actor.keeping": "actor.state_requests",
    "actor.luggage": "actor.snapshot",
    "actor.subscriptions": "actor.events.subscriptions",
    "actor.undo": "actor.state_requests",
    "course.plug": "course.power_plug",
    "course.small": "course.toy_roles",
    "library.ad_psgd": "library.decentralised.ad_psgd",
    "library.addresses": "library.ordering",
    "library.arithmetic": "library.aggregation.state_dicts",
    "library.asynchronous": "library.federated.asynchronous",
    "library.asynchronous_coordinator": "library.federated.asynchronous_coordinator",
    "library.choco": "library.decentralised.choco",
    "library.clustered": "library.federated.clustered",
    "library.compressors": "library.decentralised.compressors",
    "library.consensus": "library.decentralised.consensus",
    "library.contributions": "library.aggregation.contributions",
    "library.coordinator": "library.federated.coordinator",
    "library.d_psgd": "library.decentralised.d_psgd",
    "library.data_sizes": "library.training.data_sizes",
    "library.e_tree": "library.decentralised.e_tree",
    "library.entries": "library.aggregation.state_dicts",
    "library.epidemic": "library.decentralised.epidemic",
    "library.finite": "library.training.finite",
    "library.gossip": "library.decentralised.gossip",
    "library.gradients": "library.training.gradients",
    "library.guarded": "library.locking",
    "library.initiators": "library.federated.initiators",
    "library.local_steps": "library.training.local_steps",
    "library.mergers": "library.aggregation.mergers",
    "library.mixers": "library.decentralised.mixers",
    "library.mixing": "topologies.mixing_weights",
    "library.model_options": "library.training.model_options",
    "library.oort": "library.federated.oort",
    "library.optimizers": "library.training.optimizers",
    "library.planner": "library.training.planner",
    "library.push_sum": "library.decentralised.push_sum",
    "library.ring": "library.decentralised.ring",
    "library.rounds": "library.federated.rounds",
    "library.same_entries": "library.aggregation.same_entries",
    "library.selection": "library.federated.selection",
    "library.server_optimizers": "library.federated.server_optimizers",
    "library.snapshots": "library.training.snapshots",
    "library.strategies": "library.federated.strategies",
    "library.token_accounts": "library.decentralised.token_accounts",
    "library.trainer": "library.training.trainer",
    "library.trainings": "library.federated.trainings",
    "library.vectors": "library.aggregation.state_dicts",
    "messaging.addresses": "messaging.links.addresses",
    "messaging.arrays": "messaging.serialization.arrays",
    "messaging.authenticator": "messaging.links.authenticator",
    "messaging.captures": "messaging.serialization.captures",
    "messaging.code": "messaging.serialization.code",
    "messaging.codec": "messaging.serialization.codec",
    "messaging.copies": "messaging.serialization.copies",
    "messaging.direct": "messaging.links.direct",
    "messaging.door": "messaging.links.admission",
    "messaging.keys": "messaging.links.keys",
    "messaging.loaded_code": "messaging.modules.loaded_code",
    "messaging.module_versions": "messaging.modules.module_versions",
    "messaging.notes": "messaging.records",
    "messaging.origins": "messaging.call_sites",
    "messaging.outline": "messaging.modules.outline",
    "messaging.own_modules": "messaging.modules.own_modules",
    "messaging.receivers": "messaging.links.receiver_pool",
    "messaging.refusals": "messaging.links.refusals",
    "messaging.regions": "messaging.serialization.shared_memory",
    "messaging.relay": "messaging.links.relay",
    "messaging.source_modules": "messaging.modules.source_modules",
    "messaging.stuck": "messaging.lock_detection",
    "messaging.transport": "messaging.links.transport",
    "messaging.unsendable": "messaging.serialization.unsendable",
    "messaging.urgent": "messaging.links.control_channel",
    "messaging.window": "messaging.flow_control",
    "role.arguments": "role.checks.arguments",
    "role.entry_names": "role.checks.entry_names",
    "role.names": "role.checks.names",
    "role.numbers": "role.checks.numbers",
    "role.reserved_names": "role.checks.reserved_names",
    "role.visible": "role.checks.visible",
    "role.seeds": "role.randomness.seeds",
    "role.torch_generator": "role.randomness.torch_generator",
    "spec.bootstrap": "compat.config.bootstrap",
    "spec.conductor": "compat.config.conductor",
    "spec.roles": "compat.config.roles",
    "spec.templates": "compat.config.templates",
    "testbed.deployment": "spec.per_node",
    "testbed.drawn": "spec.board_layout",
    "testbed.graphs": "topologies.graphs",
    "testbed.shared_modules": "testbed.registry.shared_modules",
    "testbed.topology": "topologies.topology",
    "testbed.topology_report": "topologies.report",
    "widgets.view": "widgets.base.view",
}
"""{former: present}, both below the package."""
CLASSES: dict[str, dict[str, str]] = {
    "actor.checkpoint": {"Kept": "FormerRole", "NodeState": "NodeSnapshot"},
    "actor.luggage": {"Luggage": "RoleSnapshot"},
    "library.arithmetic": {"moved": "add_step"},
    "library.oort": {"Known": "ObservedUtility"},
    "library.ring": {"RingCoordinator": "library.decentralised.ring_coordinator.RingCoordinator"},
    "library.contributions": {"tell": "emit_contributions"},
    "testbed.drawn": {"Drawn": "BoardLayout"},
}
"""{former module: {former name: present name}}, of classes and functions.

A present name with dots is below the package, and belongs to another module than `MODULES` says.
"""


class _FormerModule(ModuleType):
    """Stands for a module that has moved."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        former = self.__name__.removeprefix(f"{PACKAGE}.")
        present = CLASSES.get(former, {}).get(name, name)
        module, dot, present = present.rpartition(".")
        return getattr(import_module(f"{PACKAGE}.{module if dot else MODULES[former]}"), present)


class _Finder(MetaPathFinder, Loader):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, former = fullname.partition(".")
        if package != PACKAGE or former not in MODULES:
            return None
        _warn(fullname, f"{PACKAGE}.{MODULES[former]}")
        return ModuleSpec(fullname, self)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _FormerModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


def install() -> None:
    """Make modules importable by their former names. Idempotent."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())


def _warn(former: str, present: str) -> None:
    """Warn of an import statement outside of the package, and not of a file that is read."""
    frame = sys._getframe(2)
    while frame.f_back is not None and "importlib" in frame.f_code.co_filename:
        frame = frame.f_back
    module = str(frame.f_globals.get("__name__"))
    if not module.startswith((f"{PACKAGE}.", "pickle", "pkgutil")):
        warnings.warn_explicit(
            f"{former} is {present} now",
            DeprecationWarning,
            frame.f_code.co_filename,
            frame.f_lineno,
            module,
        )
