"""%rml load and %rml save, in a real IPython shell."""

import pytest
from IPython.core.error import UsageError

from tests.shells import ROLE, run

RUN = """\
profiles: [{name: a1, address: x}, {name: a2, address: y}]
roles:
  a.*:
    adder: {class: __main__.Adder, impl: {start: {constructor: builtins.int, constructor_args: {}}}}
relationship_rules:
  a1: {other: a2/adder}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_is_saved_is_loaded_again(shell, capsys, folder):
    shell.run_cell_magic("role", "", ROLE)
    run(shell, capsys, "start --engines 0")
    run(shell, capsys, "spawn s{1..3}")
    run(shell, capsys, "assign s* adder=Adder --element start=(i * 10)")
    run(shell, capsys, "relate s1 other=s*/adder")
    before = shell.user_ns["bed"].spec()
    assert run(shell, capsys, "save run.yaml") == "saved run.yaml: 3 nodes, 3 roles\n"
    run(shell, capsys, "stop")
    assert (
        run(shell, capsys, "load run.yaml")
        == "testbed ready: in this process\nloaded run.yaml: 3 nodes, 3 roles\n"
    )
    assert shell.user_ns["bed"].spec() == before
    assert run(shell, capsys, "call s3/adder add x=1") == "21\n"
    assert run(shell, capsys, "load 'run.yaml'") == "loaded run.yaml: 3 nodes, 3 roles\n"
    assert run(shell, capsys, "save run.json") == "saved run.json: 3 nodes, 3 roles\n"
    assert run(shell, capsys, "load run.json --engines 0") == "loaded run.json: 3 nodes, 3 roles\n"
    assert shell.user_ns["bed"].spec() == before


def test_a_run_of_roleml_is_loaded_with_notes(shell, capsys, folder):
    shell.run_cell_magic("role", "", ROLE)
    (folder / "app.yaml").write_text(RUN)
    assert (
        run(shell, capsys, "load app.yaml --engines 0 --seed 3")
        == "testbed ready: in this process\nloaded app.yaml: 2 nodes, 2 roles\nnote: app.yaml: not"
        " used, since nodes live on ipyparallel engines, where each reaches each: address\n"
    )
    assert run(shell, capsys, "call a1/adder add x=5") == "5\n"
    assert shell.user_ns["bed"].seed == 3


@pytest.mark.parametrize(
    "line, text",
    [
        ("load", "the following arguments are required: FILE; see %rml load --help"),
        (
            "load rnu.yaml",
            "rnu.yaml: cannot be read: No such file or directory; did you mean 'run.yaml'",
        ),
        (
            "load bad.yaml",
            (
                "bad.yaml:3: roles.a.x.class: the notebook defines no 'Addr': run the cell that"
                " does, then load again; did you mean 'Adder'"
            ),
        ),
        (
            "load broken.yaml",
            "broken.yaml:1: not YAML: expected ',' or ']', but got '<stream end>'",
        ),
        ("save", "the following arguments are required: FILE; see %rml save --help"),
        ("save run.yaml", "no testbed is running; begin with %rml start"),
    ],
)
def test_bad_lines_are_one_clear_line_and_start_nothing(shell, capsys, folder, line, text):
    shell.run_cell_magic("role", "", ROLE)
    (folder / "run.yaml").write_text("nodes: {}\n")
    (folder / "bad.yaml").write_text(
        "profiles: [{name: a}]\nroles:\n  a: {x: {class: __main__.Addr}}\n"
    )
    (folder / "broken.yaml").write_text("a: [1")
    with pytest.raises(UsageError) as caught:
        shell.run_line_magic("rml", line)
    assert str(caught.value).startswith(f"rml: {text}") and "\n" not in str(caught.value)
    assert "bed" not in shell.user_ns


def test_a_load_that_fails_on_a_node_leaves_no_testbed(shell, capsys, folder):
    shell.run_cell(
        "from roleml_nb import Role\nclass Bad(Role):\n    def __init__(self): raise ValueError('on"
        " purpose')\n"
    )
    (folder / "run.yaml").write_text("nodes:\n  a: {roles: {x: {class: __main__.Bad}}}\n")
    with pytest.raises(
        Exception,
        match=(
            r"^run\.yaml:2: nodes\.a\.roles\.x: a/actor\.assign-role failed .*ValueError: on"
            r" purpose"
        ),
    ):
        shell.run_line_magic("rml", "load run.yaml --engines 0")
    assert "bed" not in shell.user_ns
    with pytest.raises(UsageError, match="no testbed is running"):
        shell.run_line_magic("rml", "status")


def test_what_cannot_be_saved_is_said(shell, capsys, folder):
    shell.run_cell_magic("role", "", ROLE.replace("Element(int)", "Element(object)"))
    run(shell, capsys, "start --engines 0")
    run(shell, capsys, "spawn s1")
    run(shell, capsys, "assign s1 adder=Adder --element start=object")
    shell.user_ns["bed"].assign(
        "s1", "adder", shell.user_ns["Adder"], elements={"start": {"deep": [object()]}}
    )
    with pytest.raises(
        UsageError,
        match=(
            r"^rml: cannot save run\.yaml: nodes\.s1\.roles\.adder\.elements\.start\.deep\.0: a"
            r" value of type object is not plain data"
        ),
    ):
        shell.run_line_magic("rml", "save run.yaml")
    assert not (folder / "run.yaml").exists()


def test_another_number_of_engines_is_refused(shell, capsys, folder):
    run(shell, capsys, "start --engines 0")
    (folder / "run.yaml").write_text("nodes: {a: {}}\n")
    with pytest.raises(
        UsageError, match="a testbed with 0 engines is running; end it first with %rml stop"
    ):
        shell.run_line_magic("rml", "load run.yaml --engines 2")
    assert run(shell, capsys, "load run.yaml") == "loaded run.yaml: 1 node, 0 roles\n"
    (folder / "run.yaml").write_text("engines: 2\nnodes: {a: {}, b: {engine: engine1}}\n")
    assert (
        run(shell, capsys, "load run.yaml")
        == "loaded run.yaml: 2 nodes, 0 roles\nnote: this testbed has 0 engines, not 2: new nodes"
        " are placed as by spawn\n"
    )


def test_files_are_completed(shell, folder):
    (folder / "run.yaml").touch()
    (folder / "rest.json").touch()
    (folder / "readme.md").touch()
    (folder / "runs").mkdir()
    (folder / "runs" / "one.yml").touch()

    def complete(line):
        return shell.magics_manager.registry["RoleMagics"].complete(
            shell, type("Event", (), {"line": line})
        )

    assert complete("%rml load ru")[-2:] == ["run.yaml", "runs/"] and "--engines" in complete(
        "%rml load ru"
    )
    assert complete("%rml save ")[-3:] == ["rest.json", "run.yaml", "runs/"]
    assert complete("%rml load runs/")[-1] == "runs/one.yml"


def test_help(shell, capsys):
    text = run(shell, capsys, "load --help")
    assert (
        "Deploy what a file says: one of %rml save, or RoleML's" in text and "--engines N" in text
    )
    assert "%rml load   run.yaml" in run(shell, capsys, "")
