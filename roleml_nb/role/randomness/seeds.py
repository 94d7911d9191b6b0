"""Seeds: random numbers that depend on one seed and on where they are drawn, and on nothing
else.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from roleml_nb.role.checks.numbers import check_seed
from roleml_nb.role.running import running_role

if TYPE_CHECKING:
    import numpy as np

__all__ = ["generator", "node_seed", "testbed_seed"]


def generator(seed: int, *path: str | int) -> np.random.Generator:
    """The generator at `path` in the tree of random numbers that grows from `seed`.

    The same seed and path give the same numbers in every process; other paths give independent
    ones. No global random state is read or written. A role's own branch is `Role.rng`.

    Parameters
    ----------
    seed : int
        0 or more; ArgumentError otherwise.
    path : str or int
        For example a node, a role and a round: ``generator(0, "client3", "trainer", 12)``.

    Notes
    -----
    Built on `numpy.random.SeedSequence`, whose `spawn_key` is the path, each step hashed to 64
    bits.
    """
    import numpy as np

    steps = tuple(
        int.from_bytes(blake2b(repr(step).encode(), digest_size=8).digest(), "big") for step in path
    )
    return np.random.default_rng(np.random.SeedSequence(check_seed(seed), spawn_key=steps))


def node_seed(given: Any = None) -> int:
    """`given`, or else the seed of the node whose role runs here, or is built here; 0 outside of
    roles.

    What differs from node to node without harm has this for its default, such as the weights of a
    model.
    """
    if given is not None:
        return check_seed(given)
    role = running_role()
    return 0 if role is None else role.ctx.seed


def testbed_seed(given: Any = None) -> int:
    """`given`, or else the seed of the testbed whose role runs here, or is built here; 0 outside of
    roles.

    What all nodes have to draw alike has this for its default, such as a partition: a node's own
    seed does not count.
    """
    if given is not None:
        return check_seed(given)
    role = running_role()
    return 0 if role is None else role.ctx.testbed_seed


testbed_seed.__test__ = False  # type: ignore[attr-defined]  # for pytest, it is no test
