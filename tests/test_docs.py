"""The examples in the documents run."""

import re
from pathlib import Path

from tests.waiting import until

ROOT = Path(__file__).parent.parent


def test_the_role_models_example():
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "role-model.md").read_text(), re.DOTALL)
    names = {"__name__": "__main__", "until": until}
    code += ("    until(lambda: bed.call('office/alarm', 'get-alarms') == [('hall/thermometer', 40)], 'one alarm')\n")
    exec(compile(code, "docs/role-model.md", "exec"), names)


def test_the_readmes_example():
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    exec(compile(code, "README.md", "exec"), {"__name__": "__main__"})


def test_the_configurations_example(tmp_path, monkeypatch, capsys):
    """YAML blocks are files, Python blocks run, and a text block is what the block before it prints."""
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```(\w+)\n(.*?)```", (ROOT / "docs" / "configuration.md").read_text(), re.DOTALL)
    names = {"__name__": "__main__"}
    for language, block in blocks:
        if language == "yaml":
            (tmp_path / block.splitlines()[0].removeprefix("# ")).write_text(block)
        elif language == "python":
            exec(compile(block, "docs/configuration.md", "exec"), names)
        else:
            assert capsys.readouterr().out.strip() == block.strip()
    assert [language for language, _ in blocks].count("text") == 5
