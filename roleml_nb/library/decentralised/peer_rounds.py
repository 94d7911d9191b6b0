"""Rounds of a node at its own pace, with random peers."""

from __future__ import annotations

from typing import Any

import numpy as np

from roleml_nb.library.attempts import result_of
from roleml_nb.library.channel_numbers import count_of
from roleml_nb.library.channel_types import Options
from roleml_nb.library.ordering import generator_of
from roleml_nb.library.pausing import Pausable
from roleml_nb.role import Event, RoleInstanceID, Task
from roleml_nb.role.checks.numbers import check_seed

__all__ = ["PeerRounds"]


class PeerRounds(Pausable):
    """A node that trains and meets peers, round by round, and waits for no other node.

    Needs a ``trainer``, a relationship or a role on the same node.

    Parameters
    ----------
    seed : int, optional
        With the node's name, decides which peers are chosen. By default it comes from the testbed's
        seed.
    """

    round_completed = Event()

    def __init__(self, seed: int | None = None) -> None:
        super().__init__()
        self.seed = None if seed is None else check_seed(seed)
        self._rng: np.random.Generator | None = None

    @Task(expand=True)
    def run(
        self,
        caller: RoleInstanceID,
        num_rounds: int,
        num_epochs: int = 1,
        test_every: int = 0,
        options: Options | None = None,
    ) -> dict[str, Any]:
        """Run `num_rounds` rounds of `num_epochs` local epochs (0: none), each with its peers.

        After each round, ``round-completed`` carries "round" (from 1), what the class says, and,
        every `test_every` rounds (0: never), the trainer's test metrics. `options` go to the
        trainer's ``train``.

        Returns
        -------
        dict
            "rounds", "accuracy" of the last test (None if there was none), and "reproducible":
            False.
        """
        num_rounds = count_of("num_rounds", num_rounds, 1)
        training = {**(options or {}), "num_epochs": count_of("num_epochs", num_epochs)}
        test_every = count_of("test_every", test_every)
        self._check_peers()
        tested: dict[str, Any] = {}
        for number in range(1, num_rounds + 1):
            self.before_round()
            report = self._do_round(training)
            metrics: dict[str, Any] = {}
            if test_every and number % test_every == 0:
                metrics = tested = result_of(self.call_task("trainer", "test"))
            self.round_completed.emit(args={**metrics, "round": number, **report})
        return {"rounds": num_rounds, "accuracy": tested.get("accuracy"), "reproducible": False}

    def _check_peers(self) -> None:
        """Raise CallerError if the node cannot begin without more peers."""

    def _do_round(self, training: dict[str, Any]) -> dict[str, Any]:
        """Do a round; return what its event reports."""
        raise NotImplementedError

    def _peer_generator(self) -> np.random.Generator:
        if self._rng is None:
            self._rng = (
                self.rng("peers")
                if self.seed is None
                else generator_of(self.seed, self.id.actor_name)
            )
        return self._rng
