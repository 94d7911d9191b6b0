"""Elements: where the object comes from, when it is built, how it ends."""

import io
import json
import pickle
from collections.abc import Callable

import pytest

from roleml_nb.role import (
    ConstructStrategy,
    Element,
    ElementError,
    ElementImplementation,
    ElementInstance,
    Factory,
    InitializeStrategy,
    Role,
    register_deserializer,
    register_initializer,
    register_serializer,
)


def make(element: Element, directory="", **given) -> ElementInstance:
    element.name = element.name or "thing"
    return ElementInstance(element, ElementImplementation(**given), "n/r", str(directory))


def test_the_constructor_comes_first_then_the_class_then_the_default():
    element = Element(object, default_constructor=lambda: "default")
    assert (
        make(Element(object, type_check=False), constructor=lambda: "constructor", cls=dict)()
        == "constructor"
    )
    assert make(element, cls=dict)() == {}
    assert make(element)() == "default"
    assert make(Element(object, default_impl="impl"))() == "impl"


def test_given_arguments_replace_the_default_ones_and_are_not_mixed_with_them():
    element = Element(dict, default_constructor=dict, default_constructor_args={"a": 1, "b": 2})
    assert make(element)() == {"a": 1, "b": 2}
    assert make(element, constructor_args={"a": 3, "c": 4})() == {"a": 3, "c": 4}
    every = make(element, construct_strategy=ConstructStrategy.EVERY_CALL)
    assert every(z=9) == {"z": 9} and every() == {"a": 1, "b": 2}


def test_arguments_to_an_object_that_is_built_are_refused():
    instance = make(Element(dict), constructor=dict)
    instance(a=1)
    with pytest.raises(
        ElementError, match="'thing' is built already; arguments are taken by construct"
    ):
        instance(a=2)
    assert instance.construct(a=2) == {"a": 2} and instance() == {"a": 2}


def test_when_the_object_is_built():
    built = []

    def build():
        built.append(len(built))
        return [len(built)]

    once = make(Element(list), constructor=build)
    once.prepare()
    assert built == []
    assert once() is once() and built == [0]
    eager = make(Element(list), constructor=build, construct_strategy=ConstructStrategy.ONCE_EAGER)
    eager.prepare()
    assert built == [0, 1]
    every = make(Factory(list), constructor=build)
    assert every() is not every() and built == [0, 1, 2, 3]


def test_initializers_and_destructors():
    log = []
    instance = make(
        Element(list),
        constructor=list,
        initializer=lambda made: made.append(1),
        destructor=log.append,
    )
    assert instance() == [1] and instance() == [1]
    every = make(
        Element(list),
        constructor=list,
        initializer=lambda made: made.append(1),
        initialize_strategy=InitializeStrategy.EVERY_CALL,
    )
    assert every() == [1] and every() == [1, 1]
    instance.reset()
    assert log == [[1]] and instance() == [1]
    anew = make(Factory(list), constructor=list, destructor=log.append)
    anew().append(7)
    anew()
    assert log == [[1], [7]]  # the old one is destroyed before a new one is built


def test_an_object_without_a_constructor_is_gone_after_a_reset():
    instance = make(Element(list), impl=[1])
    assert instance.implemented
    instance.reset()
    assert not instance.implemented
    with pytest.raises(ElementError, match="n/r: element 'thing' is not implemented"):
        instance()


class Named:
    def __init__(self):
        self.ready = False

    def initialize(self):
        self.ready = True

    def serialize(self, file):
        file.write(b"by itself")


@pytest.mark.parametrize(
    "name, mode, value", [("pickle", "binary", {"a": (1, 2)}), ("json", "text", {"a": [1, 2]})]
)
def test_what_is_serialized_at_the_end_is_there_at_the_next_start(tmp_path, name, mode, value):
    first = make(
        Element(dict), tmp_path, impl=value, serializer=name, serializer_destination="saved"
    )
    assert first.serializable and not first.deserializable
    first.finalize()
    assert (tmp_path / "saved").read_bytes() == (
        pickle.dumps(value) if mode == "binary" else json.dumps(value).encode()
    )
    second = make(
        Element(dict), tmp_path, deserializer=name, deserializer_source="saved", constructor=dict
    )
    assert second.implemented
    second.prepare()
    assert second() == value
    second.reset()
    assert second() == {}  # after a reset, the constructor has its turn


def test_serializers_by_hand_and_by_name():
    register_serializer("upper", lambda: lambda made, file: file.write(made.upper().encode()))
    register_deserializer("lower", lambda: lambda file: file.read().decode().lower())
    register_initializer("shout", lambda: lambda made: made.append("!"))
    file = io.BytesIO()
    instance = make(Element(str), impl="Abc", serializer="upper", deserializer="lower")
    instance.serialize(file)
    assert file.getvalue() == b"ABC"
    file.seek(0)
    assert instance.deserialize(file) == "abc" and instance() == "abc"
    assert make(Element(list), constructor=list, initializer="shout")() == ["!"]
    made = make(Element(Named), constructor=Named, initializer="self", serializer="self")
    assert made().ready
    file = io.BytesIO()
    made.serialize(file)
    assert file.getvalue() == b"by itself"


@pytest.mark.parametrize(
    "act, text",
    [
        (
            lambda: ElementImplementation(serializer="pickel"),
            "no serializer is named 'pickel'; did you mean 'pickle'",
        ),
        (lambda: make(Element(list), impl={}), "n/r: element 'thing' must be list, not dict"),
        (lambda: make(Element(list), cls=dict), "must be list, and dict is no such class"),
        (
            lambda: make(Element(dict), cls=type("Sub", (dict,), {}), constructor=dict)(),
            "must be Sub, not dict",
        ),
        (lambda: make(Element(list), impl=[]).serialize(), "has no serializer"),
        (
            lambda: make(Element(list), constructor=list, serializer="pickle").serialize(),
            "has no object to serialize",
        ),
        (
            lambda: make(Element(list), impl=[], serializer="pickle").serialize(),
            "has no serializer file; give one",
        ),
        (lambda: make(Element(list), impl=[]).deserialize(), "has no deserializer"),
    ],
)
def test_what_cannot_be_is_said(act, text):
    with pytest.raises(ElementError) as refused:
        act()
    assert text in str(refused.value)


def test_a_check_that_is_switched_off_lets_all_through():
    assert make(Element(list, type_check=False), impl={})() == {}


def test_a_callable_is_an_element_too():
    class Compressor(Role):
        compress = Element(Callable, default_impl=len)

    element = Compressor.compress
    assert ElementInstance(element, None, "n/r")()("abc") == 3
    with pytest.raises(ElementError, match="must be Callable, not int"):
        ElementInstance(element, ElementImplementation(impl=3), "n/r")


def test_state_travels_through_the_serializer_where_there_is_one():
    class Lossy(list):
        pass

    with_serializer = make(
        Element(list), impl=Lossy([1, 2]), serializer="json", deserializer="json"
    )
    assert with_serializer.get_state() == ("file", "[1, 2]", False)
    plain = make(Element(list), impl=[3])
    assert plain.get_state() == ("object", [3], False)
    other = make(Element(list), constructor=list, serializer="json", deserializer="json")
    assert other.get_state() == ("", None, False)
    other.set_state(("file", "[1, 2]"))  # as earlier versions wrote it
    assert other() == [1, 2]
