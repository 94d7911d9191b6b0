"""Parts of views that need no page: their tests are JavaScript, run by Node's own runner.

The Node is the one that playwright brings.
"""

import subprocess
from pathlib import Path

import playwright
import pytest

NODE = Path(playwright.__file__).parent / "driver" / "node"
TESTS = sorted((Path(__file__).parent / "scripts").glob("*.test.mjs"))


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
def test_the_script_passes_its_tests(path):
    done = subprocess.run(
        [NODE, "--no-warnings", "--test", "--test-reporter=tap", path],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\n# fail 0" in done.stdout and "\n# pass 0" not in done.stdout
