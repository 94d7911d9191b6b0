"""Questions to other hosts about the states of calls that take long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from roleml_nb.role import RoleMLError

from .pending import Pending

if TYPE_CHECKING:
    from .router import Router

__all__ = ["Inquiries"]

ANSWER_TIMEOUT_S = 0.5


class Inquiries:
    """Asks other hosts about the states of calls, and answers them."""

    def __init__(self, router: Router):
        self._router = router
        router.host_messages.serve("inquire", self._state_here)

    def state(self, call: Pending) -> str:
        """Return the state of a call as its receiver's host tells it; wait up to half a second."""
        router = self._router
        here = router.host.host_id
        if call.host_id == here:
            return self._state_here(here, call.number)
        try:
            asked = router.host_messages.ask(call.host_id, "inquire", number=call.number)
            return asked.result(ANSWER_TIMEOUT_S)
        except TimeoutError:
            asked.cancel()
            link = router.links[call.host_id].kind
            return f"nor does {call.host_id} say what it does; link: {link}"
        except RoleMLError as error:  # there is no link, or the host was lost meanwhile
            return str(error)

    def _state_here(self, peer: str, number: int) -> str:
        """Return the state of a call that `peer` has made here."""
        for execution in list(self._router.executions.table.values()):
            if execution.key == (peer, number):
                return execution.state(self._router.host.clock.now())
        return "no such call is at work there; it was never received, or its answer is on the way"
