"""Feature skew: inputs that look different on each node, with the same classes."""

from __future__ import annotations

import math

import numpy as np

from roleml_nb.role import ArgumentError
from roleml_nb.role.checks.numbers import check_number

__all__ = ["noise", "rotation"]


def noise(x: np.ndarray, part: int, parts: int, seed: int = 0, scale: float = 1.0) -> np.ndarray:
    """Add Gaussian noise, the more the higher the part: its variance is ``scale * part / parts``.

    Parameters
    ----------
    x : array of shape (n, …)
        Floating point; not modified.
    scale : float
        0 or more, in squared units of x.

    Returns
    -------
    array
        Shape and type of x. Part 0 is without noise.

    Raises
    ------
    ValueError
        When `scale` is out of range.

    Notes
    -----
    Li, Diao, Chen and He, "Federated Learning on Non-IID Data Silos: An Experimental Study", ICDE
    2022, section IV-B (noise-based feature imbalance, Gau(σ · i / N)).
    """
    scale = check_number("scale", scale, 0)
    drawn = np.random.default_rng([seed, part, 1]).standard_normal(x.shape, np.float32)
    return x + (math.sqrt(scale * part / parts) * drawn).astype(x.dtype)


def rotation(
    x: np.ndarray, part: int, parts: int, seed: int = 0, degrees: float = 360.0
) -> np.ndarray:
    """Rotate images counter-clockwise by ``degrees * part / parts``; corners are filled with 0.

    Parameters
    ----------
    x : array of shape (n, …, side, side), or (n, side * side)
        Not modified.
    degrees : float
        The whole range; the last part is turned by a step less.

    Returns
    -------
    array
        Shape and type of x. Part 0 is not turned; multiples of 90 degrees move pixels without
        changing them.

    Raises
    ------
    ValueError
        When x does not hold square images.

    Notes
    -----
    Ghosh, Chung, Yin and Ramchandran, "An Efficient Framework for Clustered Federated Learning",
    NeurIPS 2020, section 6 (rotated MNIST: four groups, 90 degrees apart).
    """
    check_number("degrees", degrees)
    side = math.isqrt(x.shape[-1]) if x.ndim == 2 else x.shape[-1]
    images = x.reshape(len(x), side, side) if x.ndim == 2 and side * side == x.shape[-1] else x
    if images.ndim < 3 or images.shape[-1] != images.shape[-2]:
        raise ArgumentError(
            f"rotation needs square images, and inputs of shape {x.shape[1:]} are none"
        )
    quarters, rest = divmod(degrees * part / parts, 90)
    turned = np.rot90(images, int(quarters), axes=(-2, -1))
    if rest:
        from scipy.ndimage import rotate

        # with axes in this order it turns as rot90 does
        turned = rotate(turned, rest, axes=(-1, -2), reshape=False, order=1)
    return np.ascontiguousarray(turned.reshape(x.shape), x.dtype)
