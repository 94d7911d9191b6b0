"""Each message says from which line of the code it was sent, on whichever engine that was."""

import inspect
import linecache
import re

from roleml_nb import Event, EventHandler, Role, Service, Task
from roleml_nb.role.partners import Partner
from roleml_nb.trace.lines import Lines
from tests.shells import run
from tests.waiting import until


class Listener(Role):
    @EventHandler("sender", "said", expand=True)
    def hear(self, caller):
        pass

    @Service(expand=True)
    def ask(self, caller, way):
        return way

    @Task(expand=True)
    def work(self, caller, way):
        return way


class Sender(Role):
    said = Event()
    others = Partner()

    @Service(expand=True)
    def all_ways(self, caller):
        self.call("others", "ask", {"way": "call"})
        self.call_task("others", "work", {"way": "task"}).result()
        self.call_group("others", "ask", {"way": "group"})
        for _, invocation in self.call_task_group("others", "work", {"way": "task group"}):
            invocation.result()
        self.others.service(
            "ask",
            {"way": "partner"},
        )
        self.said.emit()

    @Service(expand=True)
    async def waiting(self, caller):
        await self.call_async("others", "ask", {"way": "async"})


def lines_of(bed, source):
    sent = bed.trace.messages.to_pandas()
    return sent[(sent.source == source) & ~sent.target.str.endswith("/actor")]


def test_every_way_of_sending_is_found_in_the_code(bed):
    bed.spawn("lines-s", "lines-l")
    bed.assign("lines-s", "sender", Sender)
    bed.assign("lines-l", "listener", Listener)
    bed.relate("lines-s", "others", "lines-l/listener")
    bed.relate("lines-l", "sender", "lines-s/sender")
    bed.call("lines-s/sender", "all-ways")
    bed.call("lines-s/sender", "waiting")

    def code(kind):
        return [
            line.partition(": ")[2]
            for line in lines_of(bed, "lines-s/sender").query("kind == @kind").line
        ]

    until(lambda: code("event"), "the event is in the trace")
    assert code("service") == [
        'self.call("others", "ask", {"way": "call"})',
        'self.call_group("others", "ask", {"way": "group"})',
        "self.others.service(",
        'await self.call_async("others", "ask", {"way": "async"})',
    ]
    assert code("task") == [
        'self.call_task("others", "work", {"way": "task"}).result()',
        'for _, invocation in self.call_task_group("others", "work", {"way": "task group"}):',
    ]
    assert code("event") == ["self.said.emit()"]
    lines, first = inspect.getsourcelines(Sender.all_ways)
    assert (
        lines_of(bed, "lines-s/sender")
        .query("kind == 'service'")
        .line.iloc[0]
        .startswith(f"{__name__}:{first + 2}: self.call(")
    )
    assert set(lines_of(bed, "lines-l/listener").line) == {""}  # answers


def test_a_cell_is_called_by_its_number(shell, capsys):
    run(shell, capsys, "start --engines 0")
    shell.run_cell(
        "from roleml_nb import Role, Service\nclass Caller(Role):\n    @Service(expand=True)\n   "
        " def go(self, caller):\n        return self.call('it', 'get')\n\nclass It(Role):\n   "
        " @Service(expand=True)\n    def get(self, caller):\n        return 1\n"
    )
    run(shell, capsys, "spawn a b")
    run(shell, capsys, "assign a caller=Caller")
    run(shell, capsys, "assign b it=It")
    run(shell, capsys, "relate a it=b/it")
    run(shell, capsys, "call a/caller go")
    shell.run_cell(
        "lines = list(bed.trace.messages.to_pandas().query(\"source == 'a/caller' and kind =="
        " 'service'\").line)"
    )
    [line] = shell.user_ns["lines"]
    assert re.fullmatch(r"Cell In\[\d+\], line 5: return self\.call\('it', 'get'\)", line)


def test_lines_in_words():
    lines = Lines()
    linecache.cache["<made>"] = (1, None, ["x = 1\n", f"  call({'a' * 100})\n"], "<made>")
    assert lines["<made>:1"] == "<made>:1: x = 1"
    assert lines["<made>:2"] == f"<made>:2: call({'a' * 84}…" and lines["<made>:9"] == "<made>:9"
    assert lines["/tmp/ipykernel_1/22.py:7"] == "a cell of another kernel, line 7"
    assert lines["Cell In[3], line 2: f()"] == "Cell In[3], line 2: f()" and lines[""] == ""
