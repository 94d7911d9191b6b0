"""The pane that follows a log."""

import threading

from roleml_nb import Role, Service, Testbed
from tests.waiting import until


class Talker(Role):
    @Service(expand=True)
    def say(self, caller, text):
        print(text)
        self.logger.warning("said <%s>", text)


def shown(pane):
    return [text for _, _, text in pane._lines]


def test_the_pane_follows_until_the_testbed_ends():
    with Testbed(engines=0) as bed:
        bed.spawn("a", "b")
        bed.assign("*", "talker", Talker)
        pane = bed.logs("a").pane()
        assert "nothing was logged yet" in pane.picture().svg and repr(pane) == "<LogPane: a>"
        pane._on_message(None, {"kind": "seen", "view": "a page", "seen": True}, [])
        bed.call("a/talker", "say", {"text": "hello"})
        bed.call("b/talker", "say", {"text": "hidden"})
        said = ["a/talker: hello", "a/talker warning: said <hello>"]
        until(lambda: shown(pane) == said, "the pane follows")
        assert [level for _, level, _ in pane._lines] == ["print", "warning"]
        closed = bed.logs().pane()
        closed.close()
        bed.call("a/talker", "say", {"text": "the last one"})
    assert shown(pane)[2] == "a/talker: the last one" and len(shown(pane)) == 4
    assert "the last one" in pane.picture().svg and "hidden" not in pane.picture().svg
    assert repr(bed.logs().pane()) == "<LogPane: all nodes>"


def test_the_picture_has_the_last_lines_and_the_page_all_that_are_kept():
    with Testbed(engines=0) as bed:
        bed.spawn("a")
        bed.assign("a", "talker", Talker)
        for number in range(200):
            bed.call("a/talker", "say", {"text": f"{number} <b>  {'x' * 200}"})
        pane = bed.logs(level="warning").pane()
        assert len(shown(pane)) == 200
        both = bed.logs().pane()
        assert len(shown(both)) == 300 and [number for number, *_ in both._lines] == list(
            range(100, 400)
        )
    svg = pane.svg()
    assert "180 earlier lines" in svg and "a/talker warning: said &lt;180 &lt;b&gt;  xxx" in svg
    assert "said &lt;179 " not in svg and "x" * 111 not in svg
    assert f"said \\u003c199 \\u003cb>  {'x' * 200}" in pane.page()


def test_nothing_is_drawn_twice_by_looks_from_several_threads():
    with Testbed(engines=0) as bed:
        bed.spawn("a")
        bed.assign("a", "talker", Talker)
        pane = bed.logs().pane()
        go = threading.Event()

        def look():
            go.wait(10)
            for _ in range(50):
                pane.picture()

        looks = [threading.Thread(target=look) for _ in range(4)]
        for thread in looks:
            thread.start()
        go.set()
        for number in range(100):
            bed.call("a/talker", "say", {"text": f"number {number}"})
        for thread in looks:
            thread.join(60)
    assert len(set(shown(pane))) == len(shown(pane)) == 200
