"""Count what makes code dense or hard to read, room by room, against the limits that hold.

    python scripts/style.py                # a table of rooms
    python scripts/style.py --list testbed # each docstring and comprehension that counts, in a room
    python scripts/style.py --check        # fails when the package exceeds a limit

Comprehensions are those of lists, sets and dicts, and generators; one is nested when it holds
another, or has two `for`. A docstring of a function begins with a verb when its first word is in
VERBS, in the imperative; properties and functions without a docstring do not count.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).resolve().parents[1] / "roleml_nb"
COLUMNS = 100
FILES_OF = {"role": 24, "workload": 23}
MOST_FILES = 20
CODE = {".py", ".js", ".css"}
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
MOST_COMPREHENSIONS, MOST_NESTED = 15.0, 0.6
"""For each 1,000 lines."""
LEAST_VERBS = 0.85
PROPERTIES = {"property", "cached_property", "setter", "getter"}
VERBS = frozenset(
    """
    abandon abort accept acknowledge acquire act activate adapt add adjust admit advance
    aggregate align allocate allow announce answer append apply arrange ask assert assign associate
    attach attempt authenticate average await balance become begin bind block book boost bound break
    bring broadcast buffer build bundle call cancel capture carry cast catch change check choose
    claim classify clean clear clip close coerce collapse collect combine commit compare compile
    complete compose compress compute concatenate confirm connect consider consume contain continue
    contribute control convert copy correct count cover create cut damp deal debug decide
    declare decline decode decompress decorate decrease decrement defer define delay delegate
    delete deliver denote deploy derive describe deserialize destroy detach detect determine
    disable discard disconnect discover dispatch display divide do download drain draw drive
    drop dump edit emit empty enable encode end enforce enqueue ensure enter enumerate erase escape
    estimate evaluate examine exchange exclude execute exit expand expect explain export expose
    extend extract fail fall feed fetch fill filter find finish fit fix flatten flush fold
    follow forbid force forget format forward free freeze gather generate get give go grant
    greet group grow halt hand handle hash have hear help hide highlight hold identify ignore
    implement import include increase increment infer inform inherit initialize insert inspect
    install instantiate intercept interleave interpolate interpret interrupt invalidate invert
    invite invoke iterate join judge keep kill know label launch lay lead learn leave lend let lift
    limit link list listen load locate lock log look lower make map mark mask match materialize
    mean measure merge migrate mix modify monitor move multiply name negotiate normalize note
    notice notify observe obtain offer omit open order override own pack pad paint parse
    partition pass patch pause pay perform permit pick pickle place plot poll pop post predict
    prefer prepare present prevent print probe produce promise promote propagate protect prove
    provide prune publish pull push put query quote raise reach read rebuild recall receive
    recompute reconnect record recover redirect redo reduce refer refresh refuse register reject
    relate relay release reload remember remind remove rename render renew repair repeat replace
    replay reply report represent request require rescale reserve reset resize resolve respawn
    respond restart restore restrict resume retain retire retrieve retry return reuse reveal
    reverse revert revive roll rotate round route run sample save say scan schedule score seal
    search see select send separate serialize serve set settle share shield shift shorten show
    shuffle shut signal simulate skip sleep slice slow solve sort spawn spell split spread stack
    stamp stand start steer step stop store stream stretch strip submit subscribe subtract sum
    supply suppress suspend swap switch synchronize take tell terminate test throttle throw tick
    time toggle track train transfer transform translate transmit traverse treat trigger trim
    truncate trust try turn undo unescape unite unlink unlock unpack unpickle unshield
    unsubscribe unwrap update upgrade upload use validate verify visit wait wake walk warn watch
    weave weigh welcome wire withdraw work wrap write yield zip zoom
    """.split()
)


class Finding(NamedTuple):
    """One place that counts."""

    path: Path
    line: int
    text: str


class Counts(NamedTuple):
    """What a folder of code holds; rates are for each 1,000 lines of Python."""

    lines: int
    long: list[Finding]
    comprehensions: list[Finding]
    nested: list[Finding]
    docstrings: int
    verbless: list[Finding]

    @property
    def comprehension_rate(self) -> float:
        return 1000 * len(self.comprehensions) / max(self.lines, 1)

    @property
    def nested_rate(self) -> float:
        return 1000 * len(self.nested) / max(self.lines, 1)

    @property
    def verb_share(self) -> float:
        return 1 - len(self.verbless) / self.docstrings if self.docstrings else 1.0


def count(folder: Path) -> Counts:
    """Count a folder with all below it."""
    found = Counts(0, [], [], [], 0, [])
    for path in sorted(folder.rglob("*")):
        if path.suffix not in CODE:
            continue
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines()
        for number, line in enumerate(lines, 1):
            if len(line) > COLUMNS:
                found.long.append(Finding(path, number, line.strip()))
        if path.suffix == ".py":
            found = _count_python(found, path, ast.parse(text), len(lines))
    return found


def _count_python(found: Counts, path: Path, tree: ast.Module, lines: int) -> Counts:
    docstrings = found.docstrings
    for node in ast.walk(tree):
        if isinstance(node, COMPREHENSIONS):
            finding = Finding(path, node.lineno, ast.unparse(node))
            found.comprehensions.append(finding)
            if _is_nested(node):
                found.nested.append(finding)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not _is_property(node):
            text = ast.get_docstring(node)
            if text is not None:
                docstrings += 1
                if not begins_with_verb(text):
                    found.verbless.append(Finding(path, node.lineno, text.splitlines()[0]))
    return found._replace(lines=found.lines + lines, docstrings=docstrings)


def _is_nested(node: ast.AST) -> bool:
    inner = [each for each in ast.walk(node) if isinstance(each, COMPREHENSIONS)]
    return len(inner) > 1 or len(node.generators) > 1  # type: ignore[attr-defined]


def _is_property(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    names = (ast.unparse(each).rpartition(".")[2] for each in node.decorator_list)
    return not PROPERTIES.isdisjoint(names)


def begins_with_verb(docstring: str) -> bool:
    """Return whether the first word is a verb in the imperative."""
    words = docstring.split()
    return bool(words) and words[0].rstrip(",;:.").lower() in VERBS


def code_folders(package: Path) -> Iterator[tuple[Path, int]]:
    """Yield each folder of the package that holds code, and how many files of it."""
    for folder in [package, *sorted(package.rglob("*"))]:
        if folder.is_dir():
            files = sum(each.suffix in CODE for each in folder.iterdir())
            if files:
                yield folder, files


def exceeded(package: Path) -> list[str]:
    """Return each limit that the package exceeds, in words."""
    counts = count(package)
    found = [f"{len(counts.long)} lines over {COLUMNS} columns"] if counts.long else []
    if counts.comprehension_rate > MOST_COMPREHENSIONS:
        found.append(f"{counts.comprehension_rate:.1f} comprehensions per 1,000 lines")
    if counts.nested_rate > MOST_NESTED:
        found.append(f"{counts.nested_rate:.2f} nested comprehensions per 1,000 lines")
    if counts.verb_share < LEAST_VERBS:
        found.append(f"{counts.verb_share:.0%} of docstrings begin with a verb")
    for folder, files in code_folders(package):
        if files > FILES_OF.get(folder.name, MOST_FILES):
            found.append(f"{files} files in {folder.relative_to(package.parent)}/")
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--check", action="store_true", help="fail where a limit is exceeded")
    options.add_argument("--list", metavar="FOLDER", help="each place in a folder of the package")
    given = options.parse_args()
    if given.list:
        counts = count(PACKAGE / given.list)
        for what in ("long", "nested", "comprehensions", "verbless"):
            for path, line, text in getattr(counts, what):
                print(f"{what:15}{path.relative_to(PACKAGE)}:{line}: {text[:90]}")
    else:
        print(f"{'':20}  lines   long  comprehensions  nested  verbs")
        for folder in [*sorted(each for each in PACKAGE.iterdir() if each.is_dir()), PACKAGE]:
            counts = count(folder)
            if counts.lines:
                print(
                    f"{folder.name:20}{counts.lines:7}{len(counts.long):7}"
                    f"{counts.comprehension_rate:16.1f}{counts.nested_rate:8.2f}"
                    f"{counts.verb_share:7.0%}"
                )
    found = exceeded(PACKAGE)
    for text in found:
        print(f"over the limit: {text}", file=sys.stderr)
    if given.check and found:
        sys.exit(1)


if __name__ == "__main__":
    main()
