"""Questions between hosts about the states of calls that take long."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from roleml_nb.role import LinkFailed

from .pending import Pending

if TYPE_CHECKING:
    from .router import Router

__all__ = ["Inquiries"]

ANSWER_TIMEOUT_S = 0.5


class Inquiries:
    """Asks other hosts about the states of calls, and answers them."""

    def __init__(self, router: Router):
        self._router = router
        self._asked: dict[int, Pending] = {}
        self._numbers = itertools.count(1)
        router.host_handlers["inquire"] = self._on_inquiry
        router.host_handlers["inquiry-answer"] = self._on_answer

    def state(self, call: Pending) -> str:
        """Return the state of a call as its receiver's host tells it; wait up to half a second."""
        router = self._router
        here = router.host.host_id
        if call.host_id == here:
            return self._state_here(here, call.number)
        answer = Pending(
            "host",
            call.source,
            call.target,
            "",
            call.host_id,
            router.host.clock.now(),
            next(self._numbers),
            self._asked,
        )
        try:
            router.send_to_host(call.host_id, "inquire", (answer.number, call.number))
            return answer.result(ANSWER_TIMEOUT_S)
        except LinkFailed as error:
            return str(error)
        except TimeoutError:
            link = router.links[call.host_id].kind
            return f"nor does {call.host_id} say what it does; link: {link}"
        finally:
            answer.cancel()

    def _on_inquiry(self, peer: str, asked: tuple[int, int]) -> None:
        inquiry, call = asked
        self._router.send_to_host(peer, "inquiry-answer", (inquiry, self._state_here(peer, call)))

    def _on_answer(self, peer: str, answer: tuple[int, str]) -> None:
        inquiry = self._asked.get(answer[0])
        if inquiry is not None and inquiry.host_id == peer:
            inquiry.set_result(answer[1])

    def _state_here(self, peer: str, number: int) -> str:
        """Return the state of a call that `peer` has made here."""
        for execution in list(self._router.executions.table.values()):
            if execution.key == (peer, number):
                return execution.state(self._router.host.clock.now())
        return "no such call is at work there; it was never received, or its answer is on the way"
