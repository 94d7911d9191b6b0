"""Seeds: random numbers that depend on one seed and on where they are drawn, and on nothing else."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

__all__ = ["generator"]


def generator(seed: int, *path: str | int) -> np.random.Generator:
    """The generator at `path` in the tree of random numbers that grows from `seed`.

    The same seed and path give the same numbers in every process; other paths give independent ones. No global random
    state is read or written. A role's own branch is `Role.rng`.

    Parameters
    ----------
    seed : int
        0 or more; ValueError otherwise.
    path : str or int
        For example a node, a role and a round: ``generator(0, "client3", "trainer", 12)``.

    Notes
    -----
    Built on `numpy.random.SeedSequence`, whose `spawn_key` is the path, each step hashed to 64 bits.
    """
    import numpy as np

    steps = tuple(int.from_bytes(blake2b(repr(step).encode(), digest_size=8).digest(), "big") for step in path)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=steps))
