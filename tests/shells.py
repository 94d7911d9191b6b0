"""A real IPython shell with the magics, and lines that are run in it."""

from IPython.core.interactiveshell import InteractiveShell

ROLE = """
from roleml_nb import Role, Service, Element, Event
class Adder(Role):
    start = Element(int)
    added = Event()
    @Service(expand=True)
    def add(self, caller, x):
        self.added.emit({"x": x})
        return self.start() + x
"""


def loaded_shell():
    shell = InteractiveShell()
    shell.user_ns["__name__"] = "__main__"
    shell.run_line_magic("load_ext", "roleml_nb")
    return shell


def run(shell, capsys, line):
    capsys.readouterr()
    shell.run_line_magic("rml", line)
    return capsys.readouterr().out
