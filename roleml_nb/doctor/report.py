"""The report of an examination."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["Problem", "Report"]


class Problem(NamedTuple):
    """A fault, with its remedy."""

    what: str
    fix: str


@dataclass
class Report:
    """Facts by topic, and problems; ``str()`` makes the text that is printed."""

    facts: dict[str, list[str]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def add_facts(self, topic: str, *lines: str) -> None:
        self.facts.setdefault(topic, []).extend(lines)

    def add_problem(self, what: str, fix: str) -> None:
        self.problems.append(Problem(what, fix))

    def __str__(self) -> str:
        width = max(map(len, self.facts), default=0)
        lines = []
        for topic, facts in self.facts.items():
            head = topic  # stands before the first fact only
            for fact in facts:
                lines.append(f"{head:<{width}}  {fact}")
                head = ""
        for problem in self.problems:
            lines += ["", f"problem: {problem.what}", f"    fix: {problem.fix}"]
        return "\n".join([*lines, "" if self.problems else "\nno problems found"]).rstrip("\n")

    __repr__ = __str__
