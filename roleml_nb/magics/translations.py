"""Commands of ``%rml`` as calls of the testbed, for `%rml export`."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any

from roleml_nb.testbed.expressions import PER_NODE

from .parsing import file_name

__all__ = ["COMMANDS"]


def _call_of(name: str, *args: str, **options: str) -> str:
    return f"{name}({', '.join([*args, *(f'{key}={value}' for key, value in options.items())])})"


def _given(**options: Any) -> dict[str, str]:
    return {name: repr(value) for name, value in options.items() if value is not None}


def _start(given: Any) -> str:
    joined = _given(profile=given.profile, cluster_id=given.cluster_id)
    engines = _given(engines=2 if given.engines is None and not joined else given.engines)
    options = _given(
        start_timeout=given.start_timeout,
        seed=given.seed,
        detached=given.detach or None,
        pin=given.pin or None,
    )
    made = _call_of("Testbed", **engines, **options, **joined)
    return f"if bed is None or not bed.running:\n    bed = {made}"


def _spawn(given: Any) -> str:
    return _call_of("bed.spawn", *map(repr, given.nodes), **_given(on=given.on))


def _assign(given: Any) -> str:
    lines = [f"selected = bed.select({given.nodes!r})"]
    elements = dict(item.split("=", 1) for item in given.element)
    for item in given.roles:
        name, _, source = item.partition("=")
        cls, _, _ = source.partition("(")
        options = {}
        if "(" in source:
            call = ast.parse(source, mode="eval").body
            options = {str(word.arg): _per_node(word.value) for word in call.keywords}
        more = {
            key: value
            for key, value in (
                ("options", _dict(options)),
                ("elements", _dict({name: _element(value) for name, value in elements.items()})),
            )
            if value != "{}"
        }
        lines.append(_call_of("selected.assign", repr(name), cls, **more))
    return "\n".join(lines)


def _dict(items: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{key!r}: {value}" for key, value in items.items()) + "}"


def _per_node(tree: ast.expr) -> str:
    """An expression that may mention i, n and node."""
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} & PER_NODE
    source = ast.unparse(tree)
    if not used:
        return source
    size = "for n in [len(selected)] " if "n" in used else ""
    return f"Each([{source} {size}for i, node in enumerate(selected)])"


def _element(source: str) -> str:
    """A call is made on the node."""
    tree = ast.parse(source.strip(), mode="eval").body
    if not isinstance(tree, ast.Call):
        return _per_node(tree)
    return _call_of(
        "impl",
        ast.unparse(tree.func),
        *map(_per_node, tree.args),
        **{str(word.arg): _per_node(word.value) for word in tree.keywords},
    )


def _relate(given: Any) -> str:
    pairs = [item.split("=", 1) for item in given.relations]
    return "\n".join(
        _call_of("bed.relate", repr(given.nodes), repr(name), repr(members.split(",")))
        for name, members in pairs
    )


def _wire(given: Any) -> str:
    nodes, _, role = given.roles.partition("/")
    name, bracket, rest = given.graph.partition("(")
    options = {}
    if bracket:
        call = ast.parse(f"graph({rest}", mode="eval").body
        assert isinstance(call, ast.Call)
        options = {str(word.arg): ast.unparse(word.value) for word in call.keywords}
    source = name if given.graph.isidentifier() and name not in _graphs() else repr(name)
    return _call_of(
        "bed.wire",
        source,
        nodes=repr(nodes),
        role=repr(role),
        relationship=repr(given.relationship),
        **_given(round=given.round),
        **options,
    )


def _graphs() -> list[str]:
    from roleml_nb.topologies.graphs import GRAPHS  # networkx takes a third of a second to import

    return list(GRAPHS)


def _call(given: Any) -> str:
    args = _dict(dict(item.split("=", 1) for item in given.args))
    target, channel = repr(given.target), repr(given.channel)
    if getattr(given, "background", False):
        return _call_of("bed.run", target, channel, args)
    code = _call_of("bed.call", target, channel, args, **_given(timeout=given.timeout))
    return code if given.wanted else f"print({code})"


def _update(given: Any) -> str:
    roles = [given.role] if given.role else []
    return _call_of(
        "bed.update", *roles, **_given(fresh=given.fresh or None, was=given.was and repr(given.was))
    )


def _migrate(given: Any) -> str:
    return _call_of(
        "bed.migrate",
        repr(given.role),
        repr(given.to),
        **_given(conflicts="keep" if given.keep else None),
        timeout=repr(given.timeout),
    )


def _terminate(given: Any) -> str:
    return "\n".join(
        _call_of("bed.terminate", repr(given.nodes), repr(role))
        for role in dict.fromkeys(given.roles)
    )


def _unrelate(given: Any) -> str:
    pairs = [item.split("=", 1) for item in given.relations]
    return "\n".join(
        _call_of(
            "bed.relate", repr(given.nodes), repr(name), repr(members.split(",")), remove="True"
        )
        for name, members in pairs
    )


def _arrange(given: Any) -> str:
    places = dict(item.partition("=")[::2] for item in given.places)
    return _call_of("bed.arrange", _dict({node: place or "None" for node, place in places.items()}))


def _wait(given: Any) -> str:
    run = "bed.runs.last" if given.run is None else f"bed.runs[{given.run!r}]"
    code = _call_of(f"{run}.result", **_given(timeout=given.timeout))
    return code if given.wanted else f"print({code})"


def _looked_at(code: str) -> Callable[[Any], str]:
    """Of a command that shows a value: it is for who assigns it."""

    def translate(given: Any) -> str:
        if not given.wanted:
            raise LookupError(given.command)
        return code

    return translate


def _respawn(given: Any) -> str:
    return _call_of("bed.respawn", repr(given.nodes), **_given(on=given.on))


def _load(given: Any) -> str:
    files = repr([file_name(item) for item in given.files])
    seed = _given(
        seed=given.seed, trust=given.trust or None, root=given.root and repr(file_name(given.root))
    )
    made = _call_of(
        "Testbed.from_spec", files, names="globals()", **_given(engines=given.engines), **seed
    )
    more = _call_of("bed.load", files, names="globals()", **seed)
    return f"if bed is not None and bed.running:\n    {more}\nelse:\n    bed = {made}"


def _restore(given: Any) -> str:
    file = repr(file_name(given.file))
    made = _call_of("Testbed.from_checkpoint", file, **_given(engines=given.engines))
    return f"if bed is not None and bed.running:\n    bed.restore({file})\nelse:\n    bed = {made}"


def _stop(given: Any) -> str:
    return "bed.stop_run()" if given.run else "bed.stop()"


COMMANDS: dict[str, Callable[[Any], str]] = {
    "start": _start,
    "spawn": _spawn,
    "assign": _assign,
    "relate": _relate,
    "wire": _wire,
    "call": _call,
    "update": _update,
    "migrate": _migrate,
    "respawn": _respawn,
    "load": _load,
    "restore": _restore,
    "stop": _stop,
    "save": lambda given: _call_of("bed.save_spec", repr(file_name(given.file))),
    "record": lambda given: _call_of("bed.record", repr(file_name(given.file))),
    "terminate": _terminate,
    "unrelate": _unrelate,
    "arrange": _arrange,
    "wait": _wait,
    "status": _looked_at("bed.status()"),
    "runs": _looked_at("bed.runs"),
    "remove": lambda given: _call_of("bed.remove", repr(given.nodes)),
    "rename": lambda given: _call_of("bed.rename", repr(given.node), repr(given.name)),
    "move": lambda given: _call_of("bed.move", repr(given.nodes), repr(given.on)),
    "checkpoint": lambda given: _call_of(
        "bed.save", repr(file_name(given.file)), timeout=repr(given.timeout)
    ),
}
