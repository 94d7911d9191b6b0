"""A session as a plain Python program: cells as they are, `%rml` lines as calls of the testbed."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from IPython.core.inputtransformer2 import TransformerManager

from .arguments import HelpRequested, parse
from .braces import fill_by
from .expressions import Expressions
from .history import Cell
from .lines import parse_lines
from .parsing import BadLine, split

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
"""Beginnings of cells that papermill has put in, or that declare to hold parameters."""
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
IMPORTED = frozenset({"Each", "Testbed", "impl"})
"""Names that `HEAD` imports."""


def to_script(cells: Iterable[Cell], modules: Mapping[str, str]) -> str:
    """Return a program that repeats the work of cells.

    `modules` has the modules of names that no cell defines: {name: module}.
    """
    parts = []
    codes = []
    translator = _Translator()
    for cell in cells:
        name = f"# [{cell.number or ' '}]"
        if not cell.succeeded:
            parts.append(f"{name} failed, and is left out")
            continue
        code = translator.translate(cell.text)
        if _is_python(code):
            shown = code if translator.ends_with_magic(cell.text) else _with_value_shown(code)
            code = translator.with_parameters(cell.text, shown)
        if _is_python(code):
            codes.append(code)
            parts.append(f"{name}\n{code}")
        else:
            title = f"{name} is no Python outside of a notebook, and is left out"
            parts.append(f"{title}\n{_as_comment(cell.text)}")
    head = _head("\n".join([*codes, *translator.files.values()]), translator, modules)
    body = "\n\n".join(parts)
    return f"{head}\nbed = None\n\n{body}\n\nif bed is not None:\n    bed.stop()\n"


def _head(code: str, translator: _Translator, modules: Mapping[str, str]) -> str:
    """Return the imports, helpers and constants that the code of a program needs."""
    helpers = ""
    for name, text in HELPERS.items():
        if f"{name}(" in code:
            helpers += text
    helpers = helpers.replace("PARAMETERS", repr(tuple(sorted(translator.parameters))))
    first = ""
    for line in translator.futures:
        first += f"{line}\n\n"
    if "argparse." in helpers:
        first += "import argparse\nimport ast\n\n"
    files = ""
    for name, text in translator.files.items():
        files += f"\n\n{name} = (\n{_as_literals(text)})\n"
    imports = _imports(helpers + code, modules)
    return f"{HEAD.replace(IMPORT, first + IMPORT)}{imports}{helpers}{files}"


def _as_literals(code: str) -> str:
    """Return code as the lines of a text, for a constant."""
    lines = f"{code}\n".splitlines(keepends=True)
    return "".join(f"    {line!r}\n" for line in lines)


def _is_python(code: str) -> bool:
    try:
        compile(code, "<cell>", "exec")
    except SyntaxError:  # such as an await outside of a function
        return False
    return True


def _with_value_shown(code: str) -> str:
    """Return code that prints its last expression, as a notebook shows it."""
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


def _as_comment(text: str) -> str:
    lines = text.rstrip().split("\n")
    return "\n".join(f"# {line}".rstrip() for line in lines)


def _imports(code: str, modules: Mapping[str, str]) -> str:
    """Return lines that import the names which the code uses and does not define."""
    used: set[str] = set()
    defined = set(IMPORTED)
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.Name(ctx=ast.Store()) | ast.ClassDef() | ast.FunctionDef():
                defined.add(node.id if isinstance(node, ast.Name) else node.name)
            case ast.Name():
                used.add(node.id)
            case ast.alias():
                defined.add((node.asname or node.name).partition(".")[0])
    by_module: dict[str, list[str]] = {}
    for name in sorted((used - defined) & modules.keys()):
        by_module.setdefault(modules[name], []).append(name)
    lines = ""
    for module, names in sorted(by_module.items()):
        lines += f"from {module} import {', '.join(names)}\n"
    return lines


class _Translator:
    """Translates cells, and keeps the lines that a program needs at its head.

    Attributes
    ----------
    parameters
        Names that cells of parameters set.
    files
        Code that %run runs within functions: {name of a constant: code}.
    futures
        Imports from __future__, which Python asks for before all else.
    """

    def __init__(self) -> None:
        self.parameters: set[str] = set()
        self.files: dict[str, str] = {}
        self.futures: dict[str, None] = {}
        self._transform = TransformerManager().transform_cell
        self._classes: set[str] = set()
        """Classes that cells have defined so far."""

    def translate(self, text: str) -> str:
        """Return a cell's text as Python."""
        code = self._transform(text)
        magic = CELL.match(code)
        if magic is None:
            return "\n".join(map(self._line, code.rstrip().split("\n")))
        line = ast.literal_eval(magic["line"])
        body = ast.literal_eval(magic["body"])
        if magic["name"] == "role":
            return self._role_cell(line, body)
        if magic["name"] == "rml":
            commands = []
            for item in parse_lines(body):
                commands.append(self._command(item.words, " ".join(item.words)))
            return "\n".join(commands)
        if magic["name"] in BODIES:
            return self.translate(body)
        return _as_comment(text)

    def _role_cell(self, option: str, body: str) -> str:
        """Return the classes, and updates of the roles that run for those defined before."""
        code = self.translate(body)
        defined = [node.name for node in ast.parse(code).body if isinstance(node, ast.ClassDef)]
        again = [name for name in defined if name in self._classes]
        self._classes.update(defined)
        if not again or "--keep" in option:
            return code
        lines = [code, "if bed is not None and bed.running:"]
        for name in again:
            lines.append(f"    bed.update({name}{', fresh=True' if '--fresh' in option else ''})")
        return "\n".join(lines)

    def ends_with_magic(self, text: str) -> bool:
        """Return True when the last thing in a cell is a magic, which shows a value itself."""
        try:
            body = ast.parse(self._transform(text)).body
        except SyntaxError:
            return True
        return bool(body) and "get_ipython()" in ast.unparse(body[-1])

    def with_parameters(self, text: str, code: str) -> str:
        """Have arguments of the program replace values that a cell of parameters sets.

        `text` is the cell, as papermill writes or marks it, `code` its translation.
        """
        if not PARAMETERS.match(text):
            return code
        names = []
        for node in ast.parse(code).body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                names.append(node.targets[0].id)
        if not names:
            return code
        self.parameters.update(names)
        values = ", ".join(f"{name}={name}" for name in names)
        return f"{code}\nglobals().update(_arguments({values}))"

    def _line(self, line: str) -> str:
        """Return a line of a cell, as IPython has transformed it, as Python."""
        if FUTURE.match(line):
            self.futures[line] = None
            return ""
        run = RUN.match(line)
        if run is not None:
            return self._run_line(line.strip(), run["indent"], ast.literal_eval(run["line"]))
        magic = LINE.match(line)
        if magic is not None:
            typed = ast.literal_eval(magic["line"])
            return self._rml_line(typed, magic["indent"], magic["target"] or "")
        if "get_ipython()" in line:
            indent = line[: len(line) - len(line.lstrip())]
            return f"{indent}pass  # {line.strip()}"
        return line

    def _run_line(self, line: str, indent: str, typed: str) -> str:
        """Return ``%run`` as Python: the code that it runs; within a function, a call of that."""
        code = self._run_file(typed)
        if code is None:
            return (
                f"{indent}pass  # {line}: not in this program, as no such notebook or file of"
                " Python was found"
            )
        if not indent:
            return f"# {line}\n{code}"
        known = [name for name, other in self.files.items() if other == code]
        name = known[0] if known else f"_RUN_{len(self.files) + 1}"
        self.files[name] = code
        return f"{indent}exec({name}, globals())  # {line}"

    def _run_file(self, typed: str) -> str | None:
        """Return the code of the notebook or file that ``%run`` runs, as it is now.

        None where there is no such file.
        """
        words = [word for word in typed.split() if not word.startswith("-")]
        path = Path(os.path.expanduser(words[0].strip("'\""))) if words else None
        if path is None or not path.is_file() or path.suffix not in (".ipynb", ".ipy", ".py"):
            return None
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".py":
            return "\n".join(map(self._line, text.rstrip().split("\n")))
        if path.suffix == ".ipy":
            return self.translate(text)
        import nbformat

        codes = []
        for cell in nbformat.reads(text, as_version=4).cells:
            if cell.cell_type == "code" and cell.source.strip():
                codes.append(self.translate(cell.source))
        return "\n\n".join(codes)

    def _rml_line(self, typed: str, indent: str, target: str) -> str:
        """Return ``target = %rml typed`` as Python."""
        try:
            code = self._command(split(typed), typed, value_wanted=bool(target))
        except BadLine:
            code = f"pass  # %rml {typed}"
        if indent:  # within a function, it is the program's testbed all the same
            code = re.sub(r"(?m)^(\s*)bed = ", r'\1globals()["bed"] = ', code)
        if target:
            code = target + code if VALUES.match(code) else f"{target}None  # %rml {typed}"
        return "\n".join(indent + line for line in code.split("\n"))

    def _command(self, words: list[str], typed: str, *, value_wanted: bool = False) -> str:
        """Return a sub-command as Python; a comment when a program need not do it."""
        expressions = Expressions()
        put = expressions.put
        try:
            arguments = parse(fill_by(words, put, put))
            arguments.value_wanted = value_wanted
            code = arguments.subcommand.to_python(arguments)
            if code is not None:
                return expressions.restore(code)
        except (BadLine, HelpRequested, LookupError, ValueError):
            pass  # LookupError: no words; ValueError: an expression that no f-string takes
        return f"pass  # %rml {typed}"
