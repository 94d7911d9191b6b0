"""A sub-command is a class in one file: what `%rml` offers, explains, runs and exports follows."""

from pathlib import Path

import pytest

from roleml_nb.magics import arguments, subcommands
from roleml_nb.magics.export import to_script
from roleml_nb.magics.history import Cell
from roleml_nb.magics.subcommands import Subcommand, _add
from tests.shells import run

HELLO = '''
from roleml_nb.magics.subcommands import Subcommand


class Hello(Subcommand):
    """Greet nodes, 100 % of them."""

    name = "hello"
    overview = {"hello client*": "greet nodes"}
    effect = "none"

    def add_arguments(self, parser):
        parser.add_argument("nodes", help="which nodes: client*")

    def run(self, context, arguments):
        greeted = context.running().select(arguments.nodes).names
        print(f"hello {', '.join(greeted)}")
        return greeted

    def complete(self, context, words, begun):
        return context.nodes()

    def to_python(self, arguments):
        return f"print('hello', {arguments.nodes!r})"
'''


@pytest.fixture
def hello(tmp_path, monkeypatch):
    (tmp_path / "hello.py").write_text(HELLO)
    monkeypatch.setattr(subcommands, "__path__", [*subcommands.__path__, str(tmp_path)])
    caches = subcommands.subcommands.cache_clear, arguments.parsers.cache_clear
    for clear in caches:
        clear()
    yield
    monkeypatch.undo()
    for clear in caches:
        clear()


def test_a_file_is_enough(hello, shell, capsys):
    shell.run_line_magic("rml", "start --engines 0")
    shell.run_line_magic("rml", "spawn client{1..2}")
    capsys.readouterr()
    assert run(shell, capsys, "hello client*") == "hello client1, client2\n"
    assert shell.run_line_magic("rml_value", "hello client1") == ["client1"]
    line = f"{'%rml hello client*':54}greet nodes"
    assert line in run(shell, capsys, "").splitlines()
    explained = run(shell, capsys, "hello --help")
    assert explained.startswith("usage: %rml hello [-h] nodes\n\nGreet nodes, 100 % of them.\n")
    complete = shell.magics_manager.registry["RoleMagics"].complete
    assert "hello" in complete(shell, type("Event", (), {"line": "%rml he"}))
    offered = complete(shell, type("Event", (), {"line": "%rml hello "}))
    assert offered == ["-h", "--help", "client1", "client2"]
    program = to_script([Cell(1, "%rml hello client{1..n}", True)], {})
    assert "print('hello', f'client{{1..{n}}}')" in program
    with pytest.raises(Exception, match=r"line 2: .* \(nothing was changed\)"):
        shell.run_cell_magic("rml", "", "hello client1\nhello nobody")


def test_the_overview_fits_a_screen():
    lines = arguments.overview().splitlines()
    assert max(map(len, lines)) <= 100 and len(lines) < 50


def test_each_has_its_place_in_the_overview():
    assert set(subcommands.ORDER) <= set(subcommands.subcommands())
    shown = {line.split()[1] for line in arguments.overview().splitlines() if line[:5] == "%rml "}
    known = {name for name, item in subcommands.subcommands().items() if item.overview}
    assert shown - {"COMMAND"} == known


def test_docs_name_the_lines_that_are_undone():
    text = (Path(__file__).parents[2] / "docs" / "lines.md").read_text()
    sentence = " ".join(
        text.split("those before are taken back")[1].split(". The error")[0].split()
    )
    for name, item in subcommands.subcommands().items():
        assert (f"`{name}`" in sentence) == (item.effect == "undoable" or name == "start")


def test_help_is_a_line_of_a_cell(shell, capsys):
    shell.run_cell_magic("rml", "", "help")
    assert capsys.readouterr().out == arguments.overview() + "\n"


def test_two_sub_commands_of_one_name_are_refused():
    class Other(type(subcommands.subcommands()["status"])):
        pass

    with pytest.raises(TypeError, match=r"subcommands\.status and .* both define %rml status"):
        _add(dict(subcommands.subcommands()), Other())


def test_a_sub_command_without_a_name_is_refused():
    class Nameless(Subcommand):
        """Do nothing."""

        def run(self, context, arguments):
            pass

    with pytest.raises(TypeError, match=r"Nameless has no name: the word after %rml"):
        _add({}, Nameless())
