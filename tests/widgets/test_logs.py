"""The pane that follows a log."""

from roleml_nb import Role, Service, Testbed
from tests.waiting import until


class Talker(Role):
    @Service(expand=True)
    def say(self, caller, text):
        print(text)
        self.logger.warning("said <%s>", text)


def test_the_pane_follows_until_the_testbed_ends():
    with Testbed(engines=0) as bed:
        bed.spawn("a", "b")
        bed.assign("*", "talker", Talker)
        pane = bed.logs("a").pane()
        assert "nothing was logged yet" in pane.value and repr(pane) == "<LogPane: a>"
        bed.call("a/talker", "say", {"text": "hello"})
        bed.call("b/talker", "say", {"text": "hidden"})
        until(lambda: "a/talker: hello<br>" in pane.value, "the pane follows")
        until(lambda: "a/talker warning: said &lt;hello&gt;" in pane.value, "the pane follows")
        closed = bed.logs().pane()
        closed.close()
        bed.call("a/talker", "say", {"text": "the last one"})
    assert "a/talker: the last one" in pane.value and "hidden" not in pane.value
    assert repr(bed.logs().pane()) == "<LogPane: all nodes>"
