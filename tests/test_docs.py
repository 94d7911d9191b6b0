"""The examples in the documents run: Python blocks one after the other, YAML blocks are files, and a text block is what the
block before it prints."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("document, texts", [("role-model.md", 9), ("configuration.md", 5)])
def test_the_examples_of_a_document(document, texts, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```(\w+)\n(.*?)```", (ROOT / "docs" / document).read_text(), re.DOTALL)
    names = {"__name__": "__main__"}
    for language, block in blocks:
        if language == "yaml":
            (tmp_path / block.splitlines()[0].removeprefix("# ")).write_text(block)
        elif language == "python":
            exec(compile(block, f"docs/{document}", "exec"), names)
        else:
            assert capsys.readouterr().out.strip() == block.strip()
    assert [language for language, _ in blocks].count("text") == texts


def test_the_readmes_example():
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    exec(compile(code, "README.md", "exec"), {"__name__": "__main__"})
