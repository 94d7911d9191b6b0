"""The optimizer of a client's model: reset before each training, and checked for FedNova."""

from __future__ import annotations

from typing import Any

from roleml_nb.role import ArgumentError

__all__ = ["FRESH", "KEPT", "OPTIMIZERS", "fednova_problem", "reset_optimizer"]

KEPT = "kept"
FRESH = "fresh"
OPTIMIZERS = (KEPT, FRESH)
"""The optimizer's state (momentum, moments) is kept between trainings, or begins anew with each."""


def reset_optimizer(model: Any) -> None:
    """Clear the state of the model's optimizer; raise ValueError when there is no way to."""
    if hasattr(model, "reset_optimizer"):
        model.reset_optimizer()
        return
    optimizer: Any = getattr(model, "optimizer", None)
    if not hasattr(optimizer, "param_groups"):
        raise ArgumentError(
            f"optimizer='fresh' needs a way to renew the optimizer of {type(model).__name__}: give"
            " the model a method reset_optimizer(), or its torch optimizer as an attribute"
            " 'optimizer'"
        )
    optimizer.state.clear()


def fednova_problem(model: Any, momentum: float, state: str, trainer: str) -> str | None:
    """Say in one line why FedNova with this momentum does not fit a trainer; None when it may fit.

    The normaliser is that of SGD from rest (Wang et al. 2020, section 4). `state` is one of
    `OPTIMIZERS`.
    """
    name = f"FedNova(momentum={momentum!r})"
    optimizer = (
        model.current_optimizer()
        if hasattr(model, "current_optimizer")
        else getattr(model, "optimizer", None)
    )
    groups = getattr(optimizer, "param_groups", None)
    if groups:
        if not any(base.__name__ == "SGD" for base in type(optimizer).__mro__):
            return (
                f"{name} is not right for {trainer}, whose optimizer is {type(optimizer).__name__}:"
                " it is for SGD, with or without momentum; give the model that, or the aggregator"
                " another strategy"
            )
        for option in ("nesterov", "dampening"):
            for group in groups:
                if group.get(option):
                    return (
                        f"{name} is not right for {trainer}, whose SGD has"
                        f" {option}={group[option]!r}: it is for plain momentum; give the model"
                        " that, or the aggregator another strategy"
                    )
        for group in groups:
            if group.get("momentum", 0.0) != momentum:
                return (
                    f"{name} is not right for {trainer}, whose SGD has"
                    f" momentum={group['momentum']!r}: give the aggregator the strategy"
                    f" FedNova(momentum={group['momentum']!r})"
                )
    elif hasattr(model, "current_optimizer") and momentum:
        return (
            f"{name} is not right for {trainer}, whose model is trained by SGD without momentum:"
            " give the aggregator the strategy FedNova()"
        )
    if momentum and state == KEPT:
        return (
            f"{name} is not right for {trainer}, whose optimizer keeps its momentum from round to"
            " round, while the formula begins each round at rest: assign the trainer with"
            " options={'optimizer': 'fresh'}"
        )
    return None
