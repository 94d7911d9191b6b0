"""The scripts of views, without spaces and comments."""

import re

import pytest

from roleml_nb.widgets.base import bundle

SOURCES = sorted(bundle.COMMON.parent.parent.rglob("*.js"))


def nested(text: str) -> list[str]:
    """Template literals that stand within another one's braces, up to their end."""
    open_, found = [], []
    for mark in re.finditer(
        r"//[^\n`]*$|\"(?:\\.|[^\"\\\n])*\"|\\.|`|\$\{|[{}]", text, re.MULTILINE | re.DOTALL
    ):
        within = bool(open_) and open_[-1] == "`"
        if mark[0] == "`" and not within:
            if "`" in open_:
                found.append(text[mark.start() :].split("\n")[0])
            open_.append("`")
        elif mark[0] == "`" or mark[0] == "}" and not within:
            open_.pop()
        elif mark[0] == "${" or mark[0] == "{" and not within:
            open_.append("{")
    assert not open_
    return found


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_no_template_stands_in_another(source):
    """rjsmin would take the text of the outer one for code, and its spaces out."""
    assert nested('`a ${b ? `${b} c` : ""}`') == ['`${b} c` : ""}`']
    assert nested(source.read_text(encoding="utf-8")) == []


def write(folder, **files):
    for name, text in files.items():
        (folder / f"{name}.js").write_text(text)
    return folder / "view.js"


def test_modules_come_before_those_that_import_them(tmp_path):
    view = write(
        tmp_path,
        view='import { twice } from "./twice.js";\nexport default twice(1);\n',
        twice='import {\n  ONE,\n  add,\n} from "./sums.js";\n'
        "export function twice(a) { return add(a, ONE); }\n",
        sums="export const ONE = 1;\nexport function add(a, b) { return a + b; }\n",
    )
    code = bundle.bundle(view)
    assert "import" not in code.partition("const ONE")[2] and "\nexport" not in code
    assert (
        code.index("const ONE")
        < code.index("function twice")
        < code.index("const definition = twice")
    )


def test_modules_may_import_each_other(tmp_path):
    view = write(
        tmp_path,
        view='import { even } from "./even.js";\nexport default even(4);\n',
        even='import { odd } from "./odd.js";\n'
        "export function even(n) { return n ? odd(n - 1) : true; }\n",
        odd='import { even } from "./even.js";\n'
        "export function odd(n) { return n ? even(n - 1) : false; }\n",
    )
    code = bundle.bundle(view)
    assert code.count("function even") == code.count("function odd") == 1


@pytest.mark.parametrize(
    "files, text",
    [
        (
            {
                "view": 'import { a } from "./a.js";\nconst b = a;\nexport default b;\n',
                "a": "export const a = 1;\nfunction b() {}\n",
            },
            "view.js and a.js both define b",
        ),
        (
            {
                "view": 'import { c } from "./a.js";\nexport default c;\n',
                "a": "export const a = 1;\nconst c = 2;\n",
            },
            "view.js imports c, which a.js does not export",
        ),
        (
            {"view": 'import { a } from "./b.js";\nexport default a;\n'},
            "view.js imports ./b.js, which is not there",
        ),
        (
            {"view": 'import a from "./a.js";\nexport default a;\n', "a": "export default 1;\n"},
            'view.js must import by: import { names } from "./file.js";',
        ),
        ({"view": "export const a = 1;\n"}, "view.js has no export default"),
        (
            {"view": "function tag() {}\nexport default tag;\n"},
            "view.js and common.js both define tag",
        ),
    ],
)
def test_modules_that_do_not_fit_together_are_refused(tmp_path, files, text):
    with pytest.raises(bundle.BundleError) as refused:
        bundle.bundle(write(tmp_path, **files))
    assert str(refused.value) == text


LIMIT = 60 * 1024
"""Bytes: it travels with each page."""
VIEWS = sorted(path for path in bundle.BASE.parent.rglob("*.css") if path.stem != "common")


@pytest.mark.parametrize("style", VIEWS, ids=lambda style: style.stem)
def test_a_view_is_a_small_module_without_imports(style):
    code = bundle.script(str(style.with_suffix(".py")))
    assert len(code.encode()) <= LIMIT
    assert not re.search(r"^(import|export (?!default))", code, re.MULTILINE)


def test_a_package_behind_a_symbolic_link_is_bundled(tmp_path):
    (tmp_path / "linked").symlink_to(bundle.BASE.parent)
    code = bundle.bundle(tmp_path / "linked" / "logs" / "logs.js")
    assert code.count("function tag(") == 1
