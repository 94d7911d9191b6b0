"""The minifier: what it shortens, what it must leave alone, and that scripts do the same after."""

import shutil
import subprocess
import sys
from pathlib import Path

import playwright
import pytest

from roleml_nb.widgets.base import bundle
from roleml_nb.widgets.base.minify import minify

NODE = Path(playwright.__file__).parent / "driver" / "node"
BIOME = shutil.which("biome", path=Path(sys.executable).parent) or shutil.which("biome")
VIEWS = sorted(path for path in bundle.BASE.parent.rglob("*.css") if path.stem != "common")

TRICKY = r"""
// a comment with "quotes", `ticks` and /slashes/
const total = 10, divisor = 2; /* and "another */
const longName = "longName in a 'string' // no comment";
const quoted = 'it\'s longName "too"';
const half = total / divisor / 1;
const isPath = /longName\/"[/`"'\]]+/g.test('longName/"`');
const stripped = "a/b/c".replace(/\//g, "").length / 1;
function describe(value, { label = "none", divisor: by } = {}) {
  const longName = `${label}: ${value > 1 ? "many longName" : "one"} ${"nested"} \${longName} \` }`;
  return longName + ` by   ${ by / 1 }  { ${{ total }.total} }`;
}
class Counter {
  constructor() { this.counted = 0; }
  increment(amount = 1) { this.counted += amount; return this; }
  get doubled() { return 2 * this.counted; }
}
const increment = (counter) => counter.increment(3);
const counted = increment(new Counter());
const shared = { longName, half, describe: describe(2, { divisor }) };
const { longName: renamed, half: same = 0 } = shared;
const choice = same ? renamed : longName;
let text = "";
for (const letter of "ab") text += letter
text += "c"
switch (text) { case quoted: text = ""; break; default: text += divisor; }
if (text) { const half = "shadowing"; text += half; }
const doubled = counted?.doubled ?? 0.5;
const several = [longName, ...[half, doubled].map((half) => half / 2)];
export default JSON.stringify({ longName, quoted, half, isPath, stripped, shared, same, choice,
  text, doubled, several, counted });
"""


def run(script: str, folder: Path) -> str:
    """Return what a module's default export is, as Node sees it."""
    (folder / "script.mjs").write_text(script, encoding="utf-8")
    (folder / "print.mjs").write_text('import text from "./script.mjs";\nconsole.log(text);\n')
    done = subprocess.run(
        [NODE, folder / "print.mjs"], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout


def test_a_minified_script_does_the_same(tmp_path):
    short = minify(TRICKY)
    assert len(short) < 0.85 * len(TRICKY)
    assert "comment with" not in short and "another" not in short
    assert run(short, tmp_path) == run(TRICKY, tmp_path)


@pytest.mark.parametrize(
    "code, short",
    [
        ("const first = 1;\nf(first);", "const a=1;f(a);"),
        ("const rare = 1;\nconst often = 2;\nf(often + often);", "const b=1;const a=2;f(a+a);"),
        ("const value = 1;\nf(a, value);", "const b=1;f(a,b);"),
        (
            "function add(value) {\n  return value;\n}\nadd(1);",
            "function a(value){return value;}\na(1);",
        ),
        ("const name = 1;\nf(x.name);", "const name=1;f(x.name);"),
        ("const name = 1;\nf({ name });", "const name=1;f({name});"),
        ("const name = 1;\nf({ name: 2 });", "const name=1;f({name:2});"),
        ("const name = 1;\nf(({ name = 2 }) => name);", "const name=1;f(({name=2})=>name);"),
        ("const name = 1;\nf({ name() {} });", "const name=1;f({name(){}});"),
        ("const name = 1;\nf(x ? name : 2);", "const a=1;f(x?a:2);"),
        (
            'const name = 1;\nf("name", /name/, `name ${name}`);',
            'const a=1;f("name",/name/,`name ${a}`);',
        ),
        ('const abc = 4;\nif (x) /"/.test(abc);', 'const a=4;if(x)/"/.test(a);'),
        ("const abc = 4;\nf(abc / 2 / abc);", "const a=4;f(a/2/a);"),
    ],
)
def test_names_are_shortened_unless_they_may_be_of_properties(code, short):
    assert minify(code) == short


@pytest.mark.parametrize("end", ["f(1", "f(1]", "}"])
def test_a_script_that_is_not_understood_keeps_its_names(end):
    assert minify(f"const name = 1; // comment\n{end}") == f"const name=1;{end}"


@pytest.mark.parametrize("style", VIEWS, ids=lambda style: style.stem)
def test_the_script_of_a_view_has_all_names_that_it_uses(style, tmp_path):
    path = tmp_path / f"{style.stem}.mjs"
    path.write_text(bundle.script(str(style.with_suffix(".py"))), encoding="utf-8")
    subprocess.run([NODE, "--check", path], check=True, timeout=60)
    lint = [BIOME, "lint", "--colors=off", "--only=correctness/noUndeclaredVariables", path.name]
    done = subprocess.run(lint, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
