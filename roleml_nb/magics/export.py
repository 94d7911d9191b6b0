"""A session as a plain Python program: cells as they are, `%rml` lines as calls of the testbed."""

from __future__ import annotations

import argparse
import ast
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from IPython.core.inputtransformer2 import TransformerManager

from .arguments import HelpAsked, parse
from .braces import fill_by
from .expressions import Expressions
from .history import Cell
from .lines import Line, parse_lines
from .parsing import BadLine, split
from .translations import COMMANDS

__all__ = ["to_script"]

HEAD = '''\
"""Written by %rml export: what was run in a notebook, as a program."""

from roleml_nb import Each, Testbed, impl
'''
FUTURE = re.compile(r"(?m)^from __future__ import .+$")
IMPORT = "from roleml_nb import"
LINE = re.compile(
    r"^(?P<indent>\s*)(?P<target>[^#=()]+ = )?get_ipython\(\)\.run_line_magic\('rml',"
    r" (?P<line>'.*'|\".*\")\)\s*$"
)
CELL = re.compile(
    r"^get_ipython\(\)\.run_cell_magic\('(?P<name>\w+)', (?P<line>'.*?'|\".*?\"),"
    r" (?P<body>'.*'|\".*\")\)\s*$",
    re.DOTALL,
)
RUN = re.compile(
    r"^(?P<indent>\s*)get_ipython\(\)\.run_line_magic\('run', (?P<line>'.*'|\".*\")\)\s*$"
)
PARAMETERS = re.compile(r"\s*#\s*parameters\b", re.IGNORECASE)
"""How a cell begins that papermill has put in, or that says of itself that it holds parameters."""
SHOWING = ("print", "display", "_show")
"""Of these, the value is nothing to show."""
HELPERS = {
    "_show": (
        '''

def _show(value):
    """Print the value of a cell's last expression."""
    if value is not None:
        print(repr(value))
'''
    ),
    "_arguments": (
        '''

def _arguments(**values):
    """Return parameters as the command line has them: --name value."""
    parser = argparse.ArgumentParser(argument_default=argparse.SUPPRESS)
    for name in PARAMETERS:
        parser.add_argument(f"--{name}", type=_value)
    given = vars(parser.parse_args())
    return {name: given.get(name, value) for name, value in values.items()}


def _value(text):
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
'''
    ),
}
VALUES = re.compile(r"bed\.(call\(|run\(|spawn\(|status\(|runs)")
"""Of these, a program has the value."""
BODIES = ("capture", "time")
"""Cell magics of IPython that run the cell."""

Parsers = dict[str, argparse.ArgumentParser]


def to_script(cells: Iterable[Cell], parsers: Parsers, homes: Mapping[str, str]) -> str:
    """The program.

    `homes` says from where names are imported that no cell defines: {name: module}.
    """
    parts, bodies = [], []
    translator = _Translator(parsers)
    for cell in cells:
        name = f"# [{cell.number or ' '}]"
        if not cell.succeeded:
            parts.append(f"{name} failed, and is left out")
            continue
        code = translator.cell(cell.text)
        if _is_python(code):
            shown = code if translator.ends_with_line(cell.text) else _shown(code)
            code = translator.with_parameters(cell.text, shown)
        if not _is_python(code):
            parts.append(
                "\n".join(
                    [
                        f"{name} is no Python outside of a notebook, and is left out",
                        *_as_comment(cell.text),
                    ]
                )
            )
        else:
            bodies.append(code)
            parts.append(f"{name}\n{code}")
    code = "\n".join([*bodies, *translator.files.values()])
    files = "".join(
        f"\n\n{name} = (\n{_as_lines(text)})\n" for name, text in translator.files.items()
    )
    helpers = "".join(text for name, text in HELPERS.items() if f"{name}(" in code)
    helpers = helpers.replace("PARAMETERS", repr(tuple(sorted(translator.parameters))))
    uses = "".join(f"{line}\n\n" for line in translator.futures)
    uses += "import argparse\nimport ast\n\n" if "argparse." in helpers else ""
    head = f"{HEAD.replace(IMPORT, uses + IMPORT)}{_imports(helpers + code, homes)}{helpers}{files}"
    return (
        f"{head}\nbed = None\n\n" + "\n\n".join(parts) + "\n\nif bed is not None:\n    bed.stop()\n"
    )


def _as_lines(code: str) -> str:
    return "".join(f"    {line!r}\n" for line in f"{code}\n".splitlines(keepends=True))


def _is_python(code: str) -> bool:
    try:
        compile(code, "<cell>", "exec")
    except SyntaxError:  # such as an await outside of a function
        return False
    return True


def _shown(code: str) -> str:
    """A cell whose last expression is printed, as a notebook shows it."""
    body = ast.parse(code).body
    if not body or not isinstance(body[-1], ast.Expr) or code.rstrip().endswith(";"):
        return code
    last = body[-1]
    if isinstance(last.value, ast.Call) and ast.unparse(last.value.func) in SHOWING:
        return code
    rows = code.split("\n")
    start = rows[last.lineno - 1].encode()  # columns count bytes
    rows[last.lineno - 1] = (
        f"{start[: last.col_offset].decode()}_show(({start[last.col_offset :].decode()}"
    )
    end = rows[last.end_lineno - 1]  # type: ignore[operator]
    added = len("_show((") if last.end_lineno == last.lineno else 0
    place = len(end.encode()[: last.end_col_offset + added].decode())  # type: ignore[operator]
    rows[last.end_lineno - 1] = f"{end[:place]})){end[place:]}"  # type: ignore[operator]
    return "\n".join(rows)


def _as_comment(text: str) -> list[str]:
    return [f"# {line}".rstrip() for line in text.rstrip().split("\n")]


def _imports(code: str, homes: Mapping[str, str]) -> str:
    """Lines that import what the code uses and does not define."""
    tree = ast.parse(code)
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    stored = (
        {node.id for node in names if isinstance(node.ctx, ast.Store)}
        | {
            node.name
            for node in ast.walk(tree)
            if isinstance(node, (ast.ClassDef, ast.FunctionDef))
        }
        | {
            (alias.asname or alias.name).partition(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, (ast.Import, ast.ImportFrom))
            for alias in node.names
        }
    )
    used = {node.id for node in names} - stored - {"Each", "Testbed", "impl"}
    by_module: dict[str, list[str]] = {}
    for name in sorted(used & homes.keys()):
        by_module.setdefault(homes[name], []).append(name)
    return "".join(
        f"from {module} import {', '.join(found)}\n" for module, found in sorted(by_module.items())
    )


class _Translator:
    def __init__(self, parsers: Parsers):
        self._parsers = parsers
        self._transform = TransformerManager().transform_cell
        self._roles: set[str] = set()
        """Classes that cells have defined so far."""
        self.parameters: set[str] = set()
        """What cells of parameters set."""
        self.files: dict[str, str] = {}
        """What %run runs within functions: {name of a constant: code}."""
        self.futures: dict[str, None] = {}
        """Imports from __future__, which Python asks for before all else."""

    def cell(self, text: str) -> str:
        """A cell's text as Python."""
        code = self._transform(text)
        magic = CELL.match(code)
        if magic is None:
            return "\n".join(self._line(line) for line in code.rstrip().split("\n"))
        name, line, body = (
            magic["name"],
            ast.literal_eval(magic["line"]),
            ast.literal_eval(magic["body"]),
        )
        if name == "role":
            return self._role(line, body)
        if name == "rml":
            return "\n".join(self._command(item.words, shown) for item, shown in _lines(body))
        if name in BODIES:
            return self.cell(body)
        return "\n".join(_as_comment(text))

    def _role(self, how: str, body: str) -> str:
        """The classes; those that were there before are taken up by the roles that run, as by the
        magic.
        """
        code = self.cell(body)
        defined = [node.name for node in ast.parse(code).body if isinstance(node, ast.ClassDef)]
        again = [name for name in defined if name in self._roles]
        self._roles.update(defined)
        if not again or "--keep" in how:
            return code
        calls = "\n".join(
            f"    bed.update({name}{', fresh=True' if '--fresh' in how else ''})" for name in again
        )
        return f"{code}\nif bed is not None and bed.running:\n{calls}"

    def ends_with_line(self, text: str) -> bool:
        """Whether the last thing in a cell is a magic, which shows what there is to show."""
        try:
            body = ast.parse(self._transform(text)).body
        except SyntaxError:
            return True
        return bool(body) and "get_ipython()" in ast.unparse(body[-1])

    def with_parameters(self, text: str, code: str) -> str:
        """A cell of parameters, as papermill writes or marks it, which the program's arguments may
        change.
        """
        names = (
            [
                node.targets[0].id
                for node in ast.parse(code).body
                if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
            ]
            if PARAMETERS.match(text)
            else []
        )
        if not names:
            return code
        self.parameters.update(names)
        return (
            f"{code}\nglobals().update(_arguments({', '.join(f'{name}={name}' for name in names)}))"
        )

    def _run(self, line: str) -> str | None:
        """The code of a notebook or a file that ``%run`` runs, as it is now; None where it is not
        found.
        """
        words = [word for word in line.split() if not word.startswith("-")]
        path = Path(os.path.expanduser(words[0].strip("'\""))) if words else None
        if path is None or not path.is_file() or path.suffix not in (".ipynb", ".ipy", ".py"):
            return None
        if path.suffix == ".py":
            return "\n".join(map(self._line, path.read_text(encoding="utf-8").rstrip().split("\n")))
        text = path.read_text(encoding="utf-8")
        cells = [text]
        if path.suffix == ".ipynb":
            import nbformat

            cells = [
                cell.source
                for cell in nbformat.reads(text, as_version=4).cells
                if cell.cell_type == "code"
            ]
        return "\n\n".join(self.cell(cell) for cell in cells if cell.strip())

    def _line(self, line: str) -> str:
        if FUTURE.match(line):
            self.futures[line] = None
            return ""
        run = RUN.match(line)
        code = self._run(ast.literal_eval(run["line"])) if run is not None else None
        if run is not None and code is not None:
            indent = run["indent"]
            if not indent:
                return f"# {line.strip()}\n{code}"
            name = next(
                (name for name, known in self.files.items() if known == code),
                f"_RUN_{len(self.files) + 1}",
            )
            self.files[name] = code
            return f"{indent}exec({name}, globals())  # {line.strip()}"
        if run is not None:
            return (
                f"{run['indent']}pass  # {line.strip()}: not in this program, as no such notebook"
                " or file of Python was found"
            )
        magic = LINE.match(line)
        if magic is not None:
            indent, said, target = (
                magic["indent"],
                ast.literal_eval(magic["line"]),
                magic["target"] or "",
            )
            try:
                code = self._command(split(said), said, wanted=bool(target))
            except BadLine:
                code = f"pass  # %rml {said}"
            if indent:  # within a function, it is the program's testbed all the same
                code = re.sub(r"(?m)^(\s*)bed = ", r'\1globals()["bed"] = ', code)
            if target:
                code = target + code if VALUES.match(code) else f"{target}None  # %rml {said}"
            return "\n".join(indent + item for item in code.split("\n"))
        if "get_ipython()" in line:
            indent = line[: len(line) - len(line.lstrip())]
            return f"{indent}pass  # {line.strip()}"
        return line

    def _command(self, words: list[str], line: str, *, wanted: bool = False) -> str:
        """What only shows something, or explains itself, does nothing in a program."""
        expressions = Expressions()
        try:
            given = parse(
                fill_by(words, expressions.put, expressions.put) if words else words, self._parsers
            )
            given.wanted = wanted
            return expressions.restore(COMMANDS[given.command](given))
        except (BadLine, HelpAsked, LookupError, ValueError):  # the last: no f-string takes it
            return f"pass  # %rml {line}"


def _lines(body: str) -> list[tuple[Line, str]]:
    """The lines of a %%rml cell, each with its text."""
    return [(line, " ".join(line.words)) for line in parse_lines(body)]
