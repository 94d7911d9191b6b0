"""Local training step by step, with a correction that keeps the clients' models from drifting
apart.

Between two steps of the model's own optimizer, with learning rate η, the parameters w are moved by
−η (μ (w − w₀) + c − cᵢ), where w is from before the step and w₀ is where the training began:

- μ > 0 is FedProx: Li, Sahu, Zaheer, Sanjabi, Talwalkar and Smith, "Federated Optimization in
  Heterogeneous Networks", MLSys 2020, equation 2, the local objective F(w) + μ/2 ‖w − w₀‖²;
- c and cᵢ, the control variates of the server and of this client, are SCAFFOLD: Karimireddy, Kale,
  Mohri, Reddi, Stich and Suresh, "SCAFFOLD: Stochastic Controlled Averaging for Federated
  Learning", ICML 2020, equation 3.

For plain SGD that is a step along the corrected gradient. For other optimizers the correction is
decoupled from what they make of the gradient, as weight decay is in AdamW.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from roleml_nb.library.aggregation.state_dicts import Step, add_step, as_float64, buffers_of
from roleml_nb.role import ArgumentError
from roleml_nb.role.parameters import STEPPED, describe, entries
from roleml_nb.role.randomness.torch_generator import each_in_turn

__all__ = ["LocalSteps"]


class LocalSteps:
    """The steps of one training.

    Parameters
    ----------
    model : TrainableModel
        Trained batch by batch: ``model.train([batch], **options)``.
    proximal : float
        μ; 0 for none.
    control, own_control : mapping of name to array, optional
        c and cᵢ; what is not in them is zero. No correction of this kind when `control` is None.
    momentum : float, optional
        ρ of the model's SGD, to say what `normaliser` is; None when nobody asks.
    """

    def __init__(
        self,
        model: Any,
        proximal: float,
        control: Mapping[str, Any] | None,
        own_control: Mapping[str, Any],
        momentum: float | None = None,
    ):
        self.model, self.proximal, self.control, self.own_control = (
            model,
            proximal,
            control,
            own_control,
        )
        buffers = buffers_of(model)
        self.names = [name for name in entries(STEPPED, self._params()) if name not in buffers]
        self.start = self._parameters()
        self.count = 0
        self.distance = 0.0
        """Sum of the learning rates of all steps."""
        self.momentum = momentum
        self.normaliser = 0.0
        """‖aᵢ‖₁ of FedNova, times the learning rate where that is known: how far steps with a
        gradient of 1 go.
        """
        self.rated = True
        """Whether the learning rates of all steps are known."""
        self._velocity = 0.0

    def epoch(self, data: Iterable, options: Mapping[str, Any]) -> dict[str, Any]:
        """Go through `data` once; the mean of the batches' metrics, weighted by their sizes."""
        corrected = self.proximal or self.control is not None
        lr = learning_rate(self.model, options) if corrected else 0.0
        rate = None if self.momentum is None else known_rate(self.model, options)

        def step(batch: Any) -> tuple[int, dict[str, Any]]:
            before = self._parameters() if corrected else {}
            metrics = self.model.train([batch], **options)
            if corrected:
                self.model.set_params(add_step(self._params(), self._correction(before, lr)))
            self.count += 1
            self.distance += lr
            self._add_distance(rate)
            return (
                len(batch[0]) if isinstance(batch, tuple | list) and np.ndim(batch[0]) else 1
            ), metrics

        seen = each_in_turn(data, step)
        sizes = [size for size, _ in seen]
        return {
            name: float(np.average([metrics[name] for _, metrics in seen], weights=sizes))
            for name in (seen[0][1] if seen else {})
        }

    def _add_distance(self, rate: float | None) -> None:
        """Wang et al. 2020, section 4: v ← ρ v + 1, and ‖a‖ ← (1 − η μ) ‖a‖ + v."""
        if self.momentum is None:
            return
        decay = 1 - self.proximal * (rate or 0.0)
        if decay <= 0:
            raise ArgumentError(
                f"proximal={self.proximal!r} is too much for the learning rate {rate!r} with"
                " FedNova: their product must be less than 1"
            )
        self.rated = self.rated and rate is not None
        self._velocity = self.momentum * self._velocity + 1
        self.normaliser = decay * self.normaliser + (1.0 if rate is None else rate) * self._velocity

    def new_control(self) -> Step:
        """cᵢ⁺ = cᵢ − c + (w₀ − w) / Kη, SCAFFOLD's option II (algorithm 1, line 12), after K steps
        of size η.
        """
        end = self._parameters()
        return {
            name: (
                _entry_or_zero(self.own_control, name)
                - _entry_or_zero(self.control, name)
                + (start - end[name]) / self.distance
            )
            for name, start in self.start.items()
        }

    def _correction(self, before: Step, lr: float) -> Step:
        return {
            name: (
                -lr
                * (
                    self.proximal * (value - self.start[name])
                    + _entry_or_zero(self.control, name)
                    - _entry_or_zero(self.own_control if self.control is not None else None, name)
                )
            )
            for name, value in before.items()
        }

    def _parameters(self) -> Step:
        params = self.model.get_params()
        return {name: as_float64(name, params[name]) for name in self.names}

    def _params(self) -> Mapping[str, Any]:
        return describe(self.model.get_params(), self.model)


def _entry_or_zero(control: Mapping[str, Any] | None, name: str) -> Any:
    return 0.0 if control is None or name not in control else control[name]


def learning_rate(model: Any, options: Mapping[str, Any]) -> float:
    """That of the next step: option "lr", else the model's `lr`, else that of its optimizer."""
    lr = known_rate(model, options)
    if lr is None:
        raise ArgumentError(
            f"the learning rate of {type(model).__name__} is not known, and FedProx and SCAFFOLD"
            " need it: give the model an attribute 'lr', or the option lr, e.g. options={'lr':"
            " 0.1}"
        )
    return lr


def known_rate(model: Any, options: Mapping[str, Any]) -> float | None:
    """As `learning_rate`; None when it is not known."""
    if options.get("lr") is not None:
        return float(options["lr"])
    groups = getattr(getattr(model, "optimizer", None), "param_groups", None)
    lr = groups[0]["lr"] if groups else getattr(model, "lr", None)
    return None if lr is None else float(lr)
