"""What the site of the lessons is made of: pages that show everything without a kernel and without
network.
"""

import re

import pytest
import yaml

from roleml_nb.offline import PLOTLY, WIDGET
from tests.course.lessons import LESSONS, TUTORIALS, kind, program, read


@pytest.fixture(scope="module")
def pages():
    return program("pages")


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.stem)
def test_each_picture_of_a_lesson_shows_on_its_page(pages, lesson):
    before = [
        output.get("data", {}) for cell in read(lesson).cells for output in cell.get("outputs", [])
    ]
    after = [
        output.get("data", {})
        for cell in pages.page(lesson).cells
        for output in cell.get("outputs", [])
    ]
    drawn = 0
    for stored, shown in zip(before, after, strict=True):
        assert WIDGET not in shown and PLOTLY not in shown
        if PLOTLY in stored:
            assert "Plotly.newPlot" in shown["text/html"]
        drawn += PLOTLY in stored or "image/png" in shown
    assert drawn
    html = "".join(shown.get("text/html", "") for shown in after)
    assert html.count('src="plotly.min.js"') == (1 if "Plotly.newPlot" in html else 0)
    assert not re.search(r'src="https?:', html)


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.stem)
def test_a_page_has_no_solution(pages, lesson):
    for cell, shown in zip(read(lesson).cells, pages.page(lesson).cells, strict=True):
        if kind(cell) == "solution":
            assert "# YOUR CODE HERE" in shown.source and "SOLUTION" not in shown.source
        elif kind(cell) == "manual":
            assert "For teachers" not in shown.source


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.stem)
def test_a_page_leads_to_pages(pages, lesson):
    told = "".join(cell.source for cell in pages.page(lesson).cells if cell.cell_type == "markdown")
    links = set(re.findall(r"\]\(([^)]*)\)", told))
    assert {link for link in links if not link.startswith("https://")} <= {
        f"{other.stem}.html" for other in LESSONS
    }
    assert len(links) >= (1 if lesson in (LESSONS[0], LESSONS[-1]) else 2)


def test_the_guide_for_teachers_lists_all_lessons_with_their_points():
    guide = (TUTORIALS / "README.md").read_text()
    rows = re.findall(r"^\| \[(\d\d) [^]]*\]\(([^)]*)\) \|[^|]*\| ([^|]*) \|", guide, re.M)
    assert [name for _, name, _ in rows] == [lesson.name for lesson in LESSONS]
    for (_, _, exercises), lesson in zip(rows, LESSONS, strict=True):
        points = [
            cell.metadata.nbgrader.points
            for cell in read(lesson).cells
            if cell.metadata.get("nbgrader", {}).get("grade")
        ]
        assert sum(map(int, re.findall(r"\((\d+)\)", exercises))) == sum(points), lesson.name


def test_the_site_needs_nothing_from_elsewhere():
    settings = yaml.safe_load((TUTORIALS / "mkdocs.yml").read_text())
    assert settings["theme"]["font"] is False and settings["use_directory_urls"] is False
    assert settings["docs_dir"] == "build/pages" and not re.search("https?:", str(settings))
