"""Token accounts: limits on the messages of a gossiping node.

Danner and Jelasity, "Token Account Algorithms: The Best of the Proactive and Reactive Worlds",
ICDCS 2018: a node gets a token per round, and pays one for each message that it sends in answer to
a received one. With probability `proactive(tokens)`, it spends the round's token on a message of
its own instead of keeping it. So in r rounds it sends no more than r + C messages, with C the
capacity, however many it receives.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from roleml_nb.role import ArgumentError
from roleml_nb.role.checks.numbers import check_count

__all__ = [
    "GeneralizedTokenAccount",
    "Proactive",
    "RandomizedTokenAccount",
    "SimpleTokenAccount",
    "TokenAccount",
]


class TokenAccount(ABC):
    """The tokens of one node, and its rule to spend them.

    The element `account` of `GossipCoordinator`.

    Parameters
    ----------
    capacity : int
        C, the number of tokens from which on a node always sends by itself; 0 or more.
    """

    def __init__(self, capacity: int):
        self.capacity = check_count("capacity", capacity, 0)
        self.tokens = 0

    @abstractmethod
    def proactive(self, tokens: int) -> float:
        """Return the probability of sending in a round: 0 to 1, and 1 from `capacity` tokens on."""

    @abstractmethod
    def reactive(self, tokens: int, useful: bool) -> float:
        """Return the number of messages in answer to a received one, `useful` or not.

        It is at most `tokens`; its fraction is the probability of one message more.
        """

    def tick(self, rng: np.random.Generator) -> bool:
        """Begin a round: return True to send a message, or else earn a token and return False."""
        send = bool(rng.random() < self.proactive(self.tokens))
        self.tokens += not send
        return send

    def react(self, useful: bool, rng: np.random.Generator) -> int:
        """Pay for the answers to a received message, and return their number."""
        count = min(self.tokens, int(np.floor(self.reactive(self.tokens, useful) + rng.random())))
        self.tokens -= count
        return count


class Proactive(TokenAccount):
    """Sends once in every round, and never answers: plain gossip."""

    def __init__(self) -> None:
        super().__init__(0)

    def proactive(self, tokens: int) -> float:
        return 1.0

    def reactive(self, tokens: int, useful: bool) -> float:
        return 0.0


class SimpleTokenAccount(TokenAccount):
    """Answers each message once while there are tokens; sends when the account is full.

    Section III-A of the paper.
    """

    def __init__(self, capacity: int = 10):
        super().__init__(capacity)

    def proactive(self, tokens: int) -> float:
        return float(tokens >= self.capacity)

    def reactive(self, tokens: int, useful: bool) -> float:
        return float(tokens > 0)


class GeneralizedTokenAccount(SimpleTokenAccount):
    """Answers a useful message ⌊(A - 1 + a) / A⌋ times, another ⌊(A - 1 + a) / 2A⌋ times.

    a is the number of tokens (section III-B). `reserve` is A, at least 1: the larger, the more
    tokens a node keeps.
    """

    def __init__(self, capacity: int = 10, reserve: int = 5):
        super().__init__(capacity)
        self.reserve = check_count("reserve", reserve, 1)

    def reactive(self, tokens: int, useful: bool) -> float:
        return float((self.reserve - 1 + tokens) // (self.reserve if useful else 2 * self.reserve))


class RandomizedTokenAccount(GeneralizedTokenAccount):
    """Answers a useful message a / A times, others never; sends by itself at random.

    The probability is (a - A + 1) / (C - A + 1) from A - 1 tokens on; A is at most C (section
    III-C).
    """

    def __init__(self, capacity: int = 10, reserve: int = 5):
        super().__init__(capacity, reserve)
        if self.reserve > self.capacity:
            raise ArgumentError(
                f"reserve must be at most the capacity {self.capacity!r}, got {self.reserve!r}"
            )

    def proactive(self, tokens: int) -> float:
        return min(1.0, max(0.0, (tokens - self.reserve + 1) / (self.capacity - self.reserve + 1)))

    def reactive(self, tokens: int, useful: bool) -> float:
        return tokens / self.reserve if useful else 0.0
