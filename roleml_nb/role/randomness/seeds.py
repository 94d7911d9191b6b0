"""Random numbers that depend on one seed and the place of the draw, and on nothing else."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from roleml_nb.role.checks.numbers import check_seed
from roleml_nb.role.running import running_role

if TYPE_CHECKING:
    import numpy as np

__all__ = ["generator", "node_seed", "testbed_seed"]


def generator(seed: int, *path: str | int) -> np.random.Generator:
    """Return the generator at `path` in the tree of random numbers with the root `seed`.

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

    steps = tuple(map(_hash, path))
    return np.random.default_rng(np.random.SeedSequence(check_seed(seed), spawn_key=steps))


def _hash(step: str | int) -> int:
    """Return a hash of 64 bits that is the same in every process."""
    return int.from_bytes(blake2b(repr(step).encode(), digest_size=8).digest(), "big")


def node_seed(given: Any = None) -> int:
    """Return `given`, or else the seed of the node whose role runs or is built here; else 0.

    The default of draws that may differ from node to node, such as the weights of a model.
    """
    if given is not None:
        return check_seed(given)
    role = running_role()
    return 0 if role is None else role.ctx.seed


def testbed_seed(given: Any = None) -> int:
    """Return `given`, or else the seed of the testbed whose role runs or is built here; else 0.

    The default of draws that must be the same on all nodes, such as a partition: a node's own seed
    does not count.
    """
    if given is not None:
        return check_seed(given)
    role = running_role()
    return 0 if role is None else role.ctx.testbed_seed


testbed_seed.__test__ = False  # type: ignore[attr-defined]  # not a test, in spite of its name
