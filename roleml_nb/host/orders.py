"""Orders, the engine's half: run the functions that the notebook orders over the link.

The notebook's half is `roleml_nb.testbed.cluster.orders`, which has the reasons for them.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from roleml_nb.role import LinkFailed, RoleMLError, TestbedError

if TYPE_CHECKING:
    from .host import Host

__all__ = ["serve_orders"]


def serve_orders(host: Host, notebook: str) -> None:
    """Run the orders of the notebook, each on a thread of its own."""

    def run(number: int, function: Callable[..., Any], args: tuple) -> None:
        try:
            answer = number, True, function(*args)
        except RoleMLError as error:
            answer = number, False, error
        except Exception as error:  # its class may not be known over there
            answer = number, False, TestbedError(f"{type(error).__name__}: {error}")
        with suppress(LinkFailed):  # the host was stopped: its end is the answer
            host.router.send_to_host(notebook, "ordered", answer)

    def receive(peer: str, order: tuple[int, Callable[..., Any], tuple]) -> None:
        if peer == notebook:
            host.run_in_background(lambda: run(*order), "order")

    host.router.host_handlers["order"] = receive
