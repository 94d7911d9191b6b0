"""A selection of nodes, as the notebook's handle on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from roleml_nb.role import Role, RoleInstanceID
from roleml_nb.role.checks.arguments import checked_methods

if TYPE_CHECKING:
    from .testbed import Testbed

__all__ = ["Nodes"]


@checked_methods
class Nodes:
    """Some nodes of a testbed, in order. Short for the testbed's methods with these nodes.

    Examples
    --------
    >>> from roleml_nb import Role, Testbed
    >>> with Testbed(engines=0) as bed:
    ...     clients = bed.spawn("client{1..3}").assign("trainer", Role)
    ...     clients[:2].relate("peer", "client3/trainer")
    ...     list(clients)
    <2 nodes: client1, client2>
    ['client1', 'client2', 'client3']
    """

    def __init__(self, bed: Testbed, names: Iterable[str]):
        self._bed = bed
        self.names = list(names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int | slice) -> Nodes:
        return Nodes(
            self._bed, self.names[index] if isinstance(index, slice) else [self.names[index]]
        )

    def __repr__(self) -> str:
        shown = self.names if len(self.names) <= 4 else [*self.names[:2], "…", self.names[-1]]
        return f"<{len(self.names)} node{'s' * (len(self.names) != 1)}: {', '.join(shown)}>"

    def role(self, name: str) -> list[RoleInstanceID]:
        """Return the addresses of the roles of that name on these nodes."""
        return [RoleInstanceID(node, name) for node in self.names]

    def assign(
        self,
        name: str,
        role: type[Role],
        *,
        options: Mapping[str, Any] | None = None,
        elements: Mapping[str, Any] | None = None,
    ) -> Nodes:
        """See `Testbed.assign`."""
        self._bed.assign(self.names, name, role, options=options, elements=elements)
        return self

    def relate(self, relationship: str, instances: Any) -> Nodes:
        """See `Testbed.relate`."""
        self._bed.relate(self.names, relationship, instances)
        return self
