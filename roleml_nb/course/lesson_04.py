"""Lesson 04, clients that differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import Any

from roleml_nb.library import ClientSelector
from roleml_nb.role import RoleInstanceID
from roleml_nb.testbed import Testbed

from .checking import Claim, exercise
from .claims import equals, is_function, is_role, returned

CLIENT_TIMES_S = [4.0, 1.0, 9.0, 2.0, 3.0]


@exercise("04.1", "when a round is over", 15)
def round_ends(answer: Any) -> Iterator[Claim]:
    yield is_function(answer)
    cases = [
        (
            10,
            1,
            9.0,
            "everybody is there before the deadline",
            "a round goes on to its deadline, unless all results are there before",
        ),
        (
            3.5,
            1,
            3.5,
            "at the deadline there are enough results",
            "which clients are there at 3.5 s, and how many must be?",
        ),
        (
            2.5,
            4,
            4.0,
            "at the deadline there are too few results",
            "at 2.5 s two are there, and the round needs four: when does the fourth come?",
        ),
        (0.5, 1, 1.0, "at the deadline there is none at all", "when does the first one come?"),
        (2.5, 5, 9.0, "all of them are needed", "then the slowest decides"),
    ]
    for deadline, least, right, when, hint in cases:
        found = answer(list(CLIENT_TIMES_S), deadline, least)
        yield Claim(
            f"right when {when}",
            equals(found, right),
            f"for clients that need {CLIENT_TIMES_S} s, a deadline of {deadline} s and {least}"
            f" results at least, {returned(found)}: {hint}",
        )


@exercise("04.2", "a selector that is fair")
def fair(answer: Any) -> Iterator[Claim]:
    yield from is_role(answer, services="select-clients")
    yield Claim(
        "it is a ClientSelector",
        issubclass(answer, ClientSelector),
        "inherit from it, and write choose",
    )
    clients = [RoleInstanceID(f"client{k}", "trainer") for k in range(1, 8)]
    with Testbed(engines=0, timeout=8) as bed:
        bed.spawn("server")
        bed.assign("server", "client-selector", answer, options={"fraction": 0.43})

        def choose(number: int, candidates: list[RoleInstanceID]) -> list[RoleInstanceID]:
            return bed.call(
                "server/client-selector",
                "select-clients",
                {"candidates": candidates, "round": number},
            )

        def times(rounds: list[list[RoleInstanceID]]) -> list[int]:
            counts = Counter(chain.from_iterable(rounds))
            return [counts[client] for client in clients]

        rounds = [choose(number, clients) for number in range(1, 15)]
        sizes = sorted(set(map(len, rounds)))
        yield Claim(
            "it chooses 3 of 7 clients, as fraction=0.43 says",
            sizes == [3],
            f"it chose {sizes}: `count` says how many",
        )
        yield Claim(
            "it chooses nobody twice in a round",
            all(len(set(chosen)) == 3 for chosen in rounds),
            f"it chose {', '.join(map(str, rounds[0]))}",
        )
        yield Claim(
            "in 7 rounds, each of 7 clients has been chosen 3 times",
            times(rounds[:7]) == [3] * 7,
            f"client1 to client7 were chosen {times(rounds[:7])} times: who has been chosen least"
            " so far?",
        )
        yield Claim(
            "and 6 times in 14 rounds",
            times(rounds) == [6] * 7,
            f"they were chosen {times(rounds)} times",
        )
        few = choose(16, clients[:4])
        yield Claim(
            "when some clients are away, it chooses among the others",
            len(few) == 2 and set(few) <= set(clients[:4]),
            f"of client1 to client4 it chose {', '.join(map(str, few))}",
        )
