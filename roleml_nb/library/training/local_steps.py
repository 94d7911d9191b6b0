"""Local training step by step, with corrections that limit the drift of the clients' models.

Between two steps of the model's own optimizer, with learning rate η, the parameters w are moved by
−η (μ (w − w₀) + c − cᵢ), where w is from before the step and w₀ is where the training began:

- μ > 0 is FedProx: Li, Sahu, Zaheer, Sanjabi, Talwalkar and Smith, "Federated Optimization in
  Heterogeneous Networks", MLSys 2020, equation 2, the local objective F(w) + μ/2 ‖w − w₀‖²;
- c and cᵢ, the control variates of the server and of this client, are SCAFFOLD: Karimireddy, Kale,
  Mohri, Reddi, Stich and Suresh, "SCAFFOLD: Stochastic Controlled Averaging for Federated
  Learning", ICML 2020, equation 3.

For plain SGD that is a step along the corrected gradient. For other optimizers the correction is
decoupled from their treatment of the gradient, as weight decay is in AdamW.
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
        c and cᵢ; missing entries are zero. No correction of this kind when `control` is None.
    momentum : float, optional
        ρ of the model's SGD, to compute `normaliser`; None when it is not needed.
    """

    def __init__(
        self,
        model: Any,
        proximal: float,
        control: Mapping[str, Any] | None,
        own_control: Mapping[str, Any],
        momentum: float | None = None,
    ):
        self.model = model
        self.proximal = proximal
        self.control = control
        self.own_control = own_control
        buffers = buffers_of(model)
        self.names = [name for name in entries(STEPPED, self._params()) if name not in buffers]
        self.start = self._parameters()
        self.count = 0
        self.distance = 0.0
        """Sum of the learning rates of all steps."""
        self.momentum = momentum
        self.normaliser = 0.0
        """‖aᵢ‖₁ of FedNova, times the learning rate if that is known: the sum of all steps if each
        gradient were 1.
        """
        self.rated = True
        """True if the learning rates of all steps are known."""
        self._velocity = 0.0

    def epoch(self, data: Iterable, options: Mapping[str, Any]) -> dict[str, Any]:
        """Train on `data` once; return the mean metrics of the batches, weighted by their sizes."""
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
            return _batch_size(batch), metrics

        return _mean_metrics(each_in_turn(data, step))

    def _add_distance(self, rate: float | None) -> None:
        """Update v ← ρ v + 1 and ‖a‖ ← (1 − η μ) ‖a‖ + v (Wang et al. 2020, section 4)."""
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
        """Return cᵢ⁺ = cᵢ − c + (w₀ − w) / Kη after K steps of size η.

        This is SCAFFOLD's option II (algorithm 1, line 12).
        """
        end = self._parameters()
        renewed: Step = {}
        for name, start in self.start.items():
            own = _entry_or_zero(self.own_control, name)
            server = _entry_or_zero(self.control, name)
            renewed[name] = own - server + (start - end[name]) / self.distance
        return renewed

    def _correction(self, before: Step, lr: float) -> Step:
        correction: Step = {}
        for name, value in before.items():
            server = _entry_or_zero(self.control, name)
            own = _entry_or_zero(self.own_control if self.control is not None else None, name)
            proximal = self.proximal * (value - self.start[name])
            correction[name] = -lr * (proximal + server - own)
        return correction

    def _parameters(self) -> Step:
        params = self.model.get_params()
        return {name: as_float64(name, params[name]) for name in self.names}

    def _params(self) -> Mapping[str, Any]:
        return describe(self.model.get_params(), self.model)


def _batch_size(batch: Any) -> int:
    return len(batch[0]) if isinstance(batch, tuple | list) and np.ndim(batch[0]) else 1


def _mean_metrics(seen: list[tuple[int, dict[str, Any]]]) -> dict[str, Any]:
    if not seen:
        return {}
    sizes, metrics = zip(*seen, strict=True)
    means = {}
    for name in metrics[0]:
        values = [batch[name] for batch in metrics]
        means[name] = float(np.average(values, weights=sizes))
    return means


def _entry_or_zero(control: Mapping[str, Any] | None, name: str) -> Any:
    return 0.0 if control is None or name not in control else control[name]


def learning_rate(model: Any, options: Mapping[str, Any]) -> float:
    """Return the learning rate of the next step; raise an error when it is not known."""
    lr = known_rate(model, options)
    if lr is None:
        raise ArgumentError(
            f"the learning rate of {type(model).__name__} is not known, and FedProx and SCAFFOLD"
            " need it: give the model an attribute 'lr', or the option lr, e.g. options={'lr':"
            " 0.1}"
        )
    return lr


def known_rate(model: Any, options: Mapping[str, Any]) -> float | None:
    """Return option "lr", else the rate of the model's optimizer, else its `lr`, else None."""
    if options.get("lr") is not None:
        return float(options["lr"])
    groups = getattr(getattr(model, "optimizer", None), "param_groups", None)
    lr = groups[0]["lr"] if groups else getattr(model, "lr", None)
    return None if lr is None else float(lr)
