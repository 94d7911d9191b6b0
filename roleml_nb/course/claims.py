"""Claims that many exercises make."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from roleml_nb.role import Role

from .checking import Claim

__all__ = ["is_function", "is_role"]


def is_role(answer: Any, **channels: str) -> Iterator[Claim]:
    """It is a role class, and has channels: ``is_role(Counter, services="add", tasks="run")``, names with spaces between."""
    yield Claim("it is a role", isinstance(answer, type) and issubclass(answer, Role),
                "hand over the class itself, a subclass of Role: check(…, Counter), not check(…, Counter())")
    for kind, names in channels.items():
        for name in names.split():
            yield Claim(f"it has the {kind.removesuffix('s')} {name}", name in getattr(answer, kind),
                        f"its {kind} are: {', '.join(sorted(getattr(answer, kind))) or 'none'}; what makes a method one?")


def is_function(answer: Any) -> Claim:
    return Claim("it can be called", callable(answer), "hand over the function itself, without brackets behind its name")
