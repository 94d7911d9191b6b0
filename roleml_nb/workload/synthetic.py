"""Synthetic(α, β): data of nodes that differ as much as two numbers say."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import numpy as np

from roleml_nb.role import ArgumentError
from roleml_nb.role.checks.numbers import as_count, as_number, check_seed, short

from .datasets import ArrayDataset
from .dealing import Samples, Splits, dealt

__all__ = ["synthetic"]

FEATURES = 60
CLASSES = 10
MAX_DEVICES = 10_000
"""Devices; the data of so many take about 0.8 GB."""


def synthetic(
    part: int = 0,
    parts: int = 30,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    identical: bool = False,
    devices: int | None = None,
    data_seed: int = 0,
    partition: Any = "natural",
    **dealing: Any,
) -> ArrayDataset:
    """Return one part of synthetic(`alpha`, `beta`), in which every device has its own model.

    Device k draws ``u ~ N(0, alpha)`` and ``B ~ N(0, beta)``, where the second number is the
    standard deviation, then a model, ``W, b ~ N(u, 1)``, and a centre ``v ~ N(B, 1)``; its inputs
    are ``x ~ N(v, Σ)`` with ``Σ = diag(j ** -1.2)``, and its targets ``y = argmax(W x + b)``. It
    has ``50 + lognormal(4, 2)`` samples, cut at 10,000, of which 90 % are to train on.

    Parameters
    ----------
    part, parts : int
        Number of the part, from 0, and the number of parts. By default a part is a device.
    alpha, beta : float
        0 or more: the differences of models, and of inputs.
    identical : bool
        True for the i.i.d. variant: all devices share one model and have ``v = 0``.
    devices : int, optional
        Number of devices; as many as parts when not given.
    data_seed : int
        Seed of the data. Device k is the same for any number of devices.
    partition, **dealing
        See `dealt`; the natural key is the device.

    Returns
    -------
    ArrayDataset
        x of shape (n, 60), float32; y of shape (n,), int64, from 0 to 9.

    Raises
    ------
    ValueError
        When an argument is out of range.

    Notes
    -----
    Li, Sahu, Zaheer, Sanjabi, Talwalkar and Smith, "Federated Optimization in Heterogeneous
    Networks", MLSys 2020, section 5.1 and appendix C.1, with the sizes and deviations of the
    authors' program.
    """
    for name, value in (("alpha", alpha), ("beta", beta)):
        if not 0 <= as_number(name, value) <= 1e6:
            most = ", and 1e6 at most" if as_number(name, value) > 1e6 else ""
            raise ArgumentError(f"{name} must be 0 or more{most}, got {short(value)}")
    number = as_count("parts", parts) if devices is None else devices
    number = as_count("devices", number)
    data_seed = check_seed(data_seed, "data_seed")
    if not 1 <= number <= MAX_DEVICES:
        most = f", {MAX_DEVICES} at most" if number > MAX_DEVICES else ""
        raise ArgumentError(f"there must be 1 device or more{most}, got {number!r}")
    if isinstance(partition, str) and partition == "natural" and as_count("parts", parts) > number:
        raise ArgumentError(
            f"parts must be from 1 to the number of devices, {number}, got {parts!r}"
        )
    return dealt(
        partial(_devices, number, float(alpha) + 0.0, float(beta) + 0.0, identical, data_seed),
        part,
        parts,
        partition=partition,
        **dealing,
    )


@lru_cache(maxsize=4)
def _devices(devices: int, alpha: float, beta: float, identical: bool, seed: int) -> Splits:
    train = []
    test = []
    for device in range(devices):
        x, y = _device(device, alpha, beta, identical, seed)
        cut = int(0.9 * len(y))
        train.append((x[:cut], y[:cut]))
        test.append((x[cut:], y[cut:]))
    return {"train": _join(train), "test": _join(test)}


def _join(devices: list[tuple[np.ndarray, np.ndarray]]) -> Samples:
    """Return the samples of all devices, whose numbers are the keys."""
    x, y = zip(*devices, strict=True)
    keys = np.repeat(np.arange(len(devices)), list(map(len, y)))
    return Samples("synthetic", np.concatenate(x), np.concatenate(y), keys)


def _device(
    device: int, alpha: float, beta: float, identical: bool, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng([seed, device])
    size = min(10_000, 50 + int(rng.lognormal(4, 2)))
    shift = rng.normal(0, alpha)
    centre = rng.normal(rng.normal(0, beta), 1, FEATURES)
    model = np.random.default_rng([seed]) if identical else rng
    if identical:
        shift = 0.0
        centre = np.zeros(FEATURES)
    weights = model.normal(shift, 1, (FEATURES, CLASSES))
    bias = model.normal(shift, 1, CLASSES)
    deviation = np.arange(1, FEATURES + 1) ** -0.6
    x = rng.normal(centre, deviation, (size, FEATURES))
    return x.astype(np.float32), (x @ weights + bias).argmax(1)
