"""Names of RoleML's messaging components, which configurations mention."""

from __future__ import annotations

from typing import Any

from roleml_nb.role import RoleMLError

__all__ = [
    "CollectiveImplementorDisabled",
    "FlaskProcedureProvider",
    "GRPCMessagingComponent",
    "MessagingComponentDisabled",
    "ProcedureInvokerDisabled",
    "ProcedureProviderDisabled",
    "RequestsProcedureInvoker",
    "SequentialCollectiveImplementor",
    "ThreadedCollectiveImplementor",
]


class Component:
    """A component that a configuration may name, without effect; it cannot be constructed."""

    def __init__(self, *args: Any, **kwargs: Any):
        raise RoleMLError(
            f"a {type(self).__name__} cannot be made: messages travel over the testbed's own links."
            " Naming it in an actor's configuration is harmless"
        )


class GRPCMessagingComponent(Component): ...


class RequestsProcedureInvoker(Component): ...


class FlaskProcedureProvider(Component): ...


class MessagingComponentDisabled(Component): ...


class ProcedureInvokerDisabled(Component): ...


class ProcedureProviderDisabled(Component): ...


class CollectiveImplementorDisabled(Component): ...


class SequentialCollectiveImplementor(Component): ...


class ThreadedCollectiveImplementor(Component): ...
