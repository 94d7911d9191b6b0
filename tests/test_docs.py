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
