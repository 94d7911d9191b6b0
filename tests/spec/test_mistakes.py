"""A mistake anywhere in a configuration is told as such, and by nothing else."""

import copy

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from roleml_nb.role import TestbedError
from roleml_nb.spec import ConfigError, read

KEEPER = "tests.spec.examples.Keeper"
STORE = {
    "class": "builtins.dict",
    "constructor_args": {"x": "$c[1-3]"},
    "construct_strategy": "once",
    "initializer": "self",
    "serializer": "json",
    "serializer_mode": "text",
    "serializer_destination": "f",
    "destructor": {"type": KEEPER, "options": {}},
}
RUN = {
    "profiles": [{"name": "a1", "address": "x"}, {"name": "a2"}],
    "profiles_separate": [{"name": "b", "address": "y"}],
    "roles": {
        "a.*": {
            "keeper": {"class": KEEPER, "options": {"start": "$r[1, 3]"}, "impl": {"store": STORE}}
        }
    },
    "connections": {"a1": ["a2"]},
    "connection_rules": ["a.* b"],
    "relationships": {"a1": {"x": ["a2/keeper"]}},
    "relationship_rules": {"a.*": {"keeper": "a1", "y": "b/z"}},
    "relationship_links": {"b": {"z": "y"}},
    "deployment_order": ["a2"],
    "seed": 1,
    "fixed": False,
}
ACTOR = {
    "name": "a",
    "address": "x",
    "contacts": {"b": "y"},
    "handshakes": ["b"],
    "handwaves": ["b"],
    "workdir": ".",
    "src": ".",
    "seed": 1,
    "element_preset": {
        KEEPER: {"elements": {"store": {"impl": {"x": 1}}}, "on_conflict": "preset"}
    },
    "roles": {
        "keeper": {
            "class": KEEPER,
            "options": {"start": 1},
            "impl": {"store": {"impl": {"type": "builtins.dict", "options": {}}}},
        },
        "other": KEEPER,
    },
    "relationships": {"x": ["/keeper"], "y": "a/other", "z": ["b"]},
    "relationship_links": {"l": "x"},
    "debug": True,
    "log_file_level": "INFO",
    "log_console_type": "single",
    "messaging_component": {"type": "x", "options": {}},
}
SPEC = {
    "roleml_nb": 1,
    "engines": 0,
    "seed": 3,
    "nodes": {
        "a": {
            "engine": "notebook",
            "seed": 4,
            "roles": {
                "keeper": {
                    "class": KEEPER,
                    "options": {
                        "start": 1,
                        "list": [1, {"$tuple": [1]}],
                        "dict": {"$dict": [[1, 2]]},
                        "set": {"$set": [1]},
                        "role": {"$role": "a/b"},
                        "ref": {"$ref": "tests.spec.examples.double"},
                    },
                    "elements": {
                        "store": {"$call": "builtins.dict", "args": [], "kwargs": {"x": 1}},
                        "function": {
                            "$element": {
                                "constructor": {"$made-by": KEEPER, "options": {}},
                                "construct_strategy": "once",
                            }
                        },
                    },
                }
            },
            "relationships": {"x": ["a/keeper"]},
            "links": {"l": "x"},
        }
    },
}


def places(data, path=()):
    yield path
    if isinstance(data, (dict, list)):
        for key, item in data.items() if isinstance(data, dict) else enumerate(data):
            yield from places(item, (*path, key))


def changed(data, path, value, key):
    """The data with another value at a path, or, for a key, under another key."""
    data = copy.deepcopy(data)
    if not path:
        return value
    inner = data
    for step in path[:-1]:
        inner = inner[step]
    if key is None or isinstance(inner, list):
        inner[path[-1]] = value
    else:
        inner[key] = inner.pop(path[-1])
    return data


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats()
    | st.sampled_from(
        [
            "",
            "a",
            "a1",
            "a/keeper",
            "/",
            "$c[",
            "$c[1]",
            "$c[x]",
            "os",
            "os.getcwd",
            "__main__.X",
            "roleml.x",
            ".*",
            "(",
            "-",
            KEEPER,
            "é",
        ]
    ),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                ["name", "type", "options", "class", "$call", "$dict", "$set", "x", "a1"]
            )
            | st.integers(0, 1),
            inner,
            max_size=2,
        )
    ),
    max_leaves=4,
)


@pytest.mark.parametrize("data", [RUN, ACTOR, SPEC], ids=["run", "actor", "spec"])
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(draw=st.data())
def test_any_single_change_is_read_or_refused(data, draw, tmp_path):
    read(data).check({})
    path = draw.draw(st.sampled_from(list(places(data))))
    key = draw.draw(st.none() | st.sampled_from(["", "x", "naem", "$ref"]) | st.integers(0, 1))
    mistaken = changed(data, path, draw.draw(anything), key)
    (tmp_path / "file.yaml").write_text(yaml.safe_dump(mistaken))
    for source in (
        mistaken if isinstance(mistaken, (dict, list)) else [mistaken],
        tmp_path / "file.yaml",
    ):
        try:
            read(source).check({})
        except ConfigError as error:
            assert "\n" not in str(error)
        except TestbedError as error:
            raise AssertionError(f"not a ConfigError: {error}") from error
