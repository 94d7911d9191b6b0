"""Lists of role addresses in natural order, and choices among them that repeat."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from roleml_nb.role import RoleInstanceID, natural_key

__all__ = ["generator_of", "in_order", "items_at", "without"]


def in_order(instances: Iterable[Any]) -> list[RoleInstanceID]:
    """Return addresses, given as RoleInstanceIDs, pairs or "node/role", in natural order."""
    return sorted(map(_address, instances), key=_sort_key)


def without(
    instances: Iterable[RoleInstanceID], excluded: Container[RoleInstanceID]
) -> list[RoleInstanceID]:
    """Return the addresses that are not in `excluded`, in their order."""
    return [instance for instance in instances if instance not in excluded]


def items_at(instances: Sequence[RoleInstanceID], places: Iterable[int]) -> list[RoleInstanceID]:
    """Return the addresses at these places, in the order of the places."""
    return [instances[place] for place in places]


def _address(one: Any) -> RoleInstanceID:
    if type(one) is RoleInstanceID:
        return one
    return RoleInstanceID.of(one) if isinstance(one, str) else RoleInstanceID(*one)


@lru_cache(maxsize=4096)
def _sort_key(address: RoleInstanceID) -> tuple:
    return natural_key(str(address))


def generator_of(seed: int, node: str) -> np.random.Generator:
    """Return a generator of random numbers that depends on the seed and the node's name alone."""
    return np.random.default_rng([seed, *node.encode()])
