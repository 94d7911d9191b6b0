"""Lesson 00, first steps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from roleml_nb.role import RoleMLError
from roleml_nb.testbed import Testbed

from .checking import Claim, exercise
from .claims import is_role, returned


@exercise("00.1", "a role that counts")
def counter(answer: Any) -> Iterator[Claim]:
    yield from is_role(answer, services="add")
    with Testbed(engines=0, timeout=8) as bed:
        bed.spawn("east", "west")
        bed.assign("*t", "counter", answer)
        first = bed.call("east/counter", "add", {"amount": 2})
        yield Claim(
            "the first add, of 2, returns 2",
            first == 2,
            f"{returned(first)}: with which number does a counter begin?",
        )
        second = bed.call("east/counter", "add", {"amount": 5})
        yield Claim(
            "another add, of 5, returns 7",
            second == 7,
            f"it returned {second!r}: what has to be kept from one call to the next, and where does"
            " a role keep it?",
        )
        other = bed.call("west/counter", "add", {"amount": 1})
        yield Claim(
            "another node counts for itself",
            other == 1,
            f"the first add on another node, of 1, returned {other!r}: "
            "what belongs to the class is shared by all instances, what belongs to self is not",
        )


@exercise("00.2", "a pattern that finds three nodes")
def pattern(answer: Any) -> Iterator[Claim]:
    yield Claim(
        "it is a text",
        isinstance(answer, str),
        f"it is {type(answer).__name__}: a pattern stands between quotes",
    )
    wanted = ["client2", "client3", "client4"]
    with Testbed(engines=0) as bed:
        bed.spawn("server", "client{1..8}")
        try:
            found = bed.select(answer).names
        except RoleMLError as error:
            yield Claim("it finds some nodes", False, str(error))
            return
        yield Claim("it finds some nodes", bool(found))
        missing = sorted(set(wanted) - set(found))
        more = sorted(set(found) - set(wanted))
        yield Claim(
            "it finds client2, client3 and client4",
            not missing,
            f"it does not find {', '.join(missing)}",
        )
        yield Claim(
            "it finds no others",
            not more,
            f"it also finds {', '.join(more)}; square brackets stand for one of several signs,"
            " curly ones for a range",
        )
        yield Claim(
            "it is one pattern",
            len(answer.split()) == 1 and "," not in answer,
            "a list of names is not what was asked for",
        )
