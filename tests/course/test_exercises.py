"""For each exercise: the solution of its lesson is right, and typical mistakes are told what is wrong with them."""

import pytest

from roleml_nb.course import NotYet, check, exercises
from tests.course.lessons import answer

MISTAKES = [
    ("00.1", "class Counter(Role):\n    total = []\n    @Service(expand=True)\n    def add(self, caller, amount):\n"
             "        self.total.append(amount)\n        return sum(self.total)",
     "another node counts for itself", "what belongs to the class is shared"),
    ("00.1", "class Counter(Role):\n    @Service(expand=True)\n    def add(self, caller, amount):\n        return amount",
     "another add, of 5, returns 7", "it returned 5"),
    ("00.1", "class Counter(Role):\n    def add(self, caller, amount):\n        return amount",
     "it has the service add", "its services are: none"),
    ("00.1", "Counter = 3", "it is a role", "a subclass of Role"),
    ("00.2", "pattern = 'client*'", "it finds no others", "it also finds client1"),
    ("00.2", "pattern = 'client{2..3}'", "it finds client2, client3 and client4", "it does not find client4"),
]


@pytest.mark.parametrize("number", exercises())
def test_the_solution_of_the_lesson_is_right(number):
    check(number, answer(number))


@pytest.mark.parametrize("number, source, wrong, hint", MISTAKES, ids=[f"{one[0]} {one[2]}" for one in MISTAKES])
def test_a_mistake_is_told(number, source, wrong, hint):
    with pytest.raises(NotYet) as caught:
        check(number, answer(number, source))
    lines = str(caught.value).splitlines()
    (told,) = [index for index, line in enumerate(lines) if line.startswith("  wrong")]
    assert wrong in lines[told] and hint in lines[told + 1]
