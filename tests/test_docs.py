"""The examples in the documents run: Python blocks one after the other, YAML blocks are files, and
a text block is what the block before it prints.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    "document, texts",
    [
        ("role-model.md", 12),
        ("configuration.md", 6),
        ("topologies.md", 4),
        ("data.md", 6),
        ("measuring.md", 4),
        ("recordings.md", 3),
        ("errors-and-logs.md", 4),
    ],
)
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


def test_the_examples_for_programs_of_roleml():
    """In a process of their own, since they install import paths for good."""
    blocks = re.findall(r"```(\w+)\n(.*?)```", (ROOT / "docs" / "compat.md").read_text(), re.DOTALL)
    code = "\n".join(block for language, block in blocks if language == "python")
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=100,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        },
    )
    assert done.stdout == "".join(block for language, block in blocks if language == "text"), (
        done.stderr[-3000:]
    )


def test_the_readmes_example():
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    exec(compile(code, "README.md", "exec"), {"__name__": "__main__"})


def test_what_the_page_about_several_machines_configures_is_known_to_ipyparallel():
    from ipyparallel.cluster import cluster, launcher
    from traitlets.config import Config

    blocks = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs" / "machines.md").read_text(), re.DOTALL
    )
    assert len(blocks) == 3
    for block in blocks:
        config = Config()
        exec(
            compile(block, "docs/machines.md", "exec"), {"get_config": lambda config=config: config}
        )
        for name, values in config.items():
            known = getattr(launcher, name, None) or getattr(cluster, name)
            assert set(values) <= set(known.class_trait_names(config=True)), name
