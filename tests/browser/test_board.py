"""The board under a hand, and under keys; what it did is looked up in the kernel."""

BOARD = '''
from roleml_nb import Element, Event, EventHandler, Role, Service, Task, Testbed
class Counter(Role):
    """Counts."""
    step = Element(int, default_impl=1)
    counted = Event()
    def __init__(self, start: int = 0):
        super().__init__()
        self.count = start
    @Service(expand=True)
    def add(self, caller, amount: int = 1) -> int:
        self.count += amount * self.step()
        self.counted.emit({"count": self.count})
        return self.count
    def __getstate__(self): return super().__getstate__()
class Watcher(Role):
    """Asks the counter."""
    @Service
    def watch(self, caller, args, payloads):
        return self.call("counter", "add", {"amount": 0})
    @EventHandler("counter", "counted")
    def look(self, caller, args, payloads):
        if args["count"] > 100: raise ValueError("too many")
bed = Testbed(engines=ENGINES)
bed.spawn("server", "client{1..3}")
board = bed.board()
board
'''


def opened(open_notebook, engines: int = 0, *more: str):
    lab = open_notebook(BOARD.replace("ENGINES", str(engines)), *more)
    lab.run_all()
    lab.page.set_default_timeout(30_000)
    lab.page.wait_for_selector(".board[data-ready='1']")
    lab.page.locator(".board").evaluate(
        "(board) => board.getRootNode().host.scrollIntoView({block: 'start'})"
    )
    return lab


def chip(lab, node: str, role: str):
    return lab.page.locator(
        f".card[data-node='{node}'] .chip[data-role='{role}'][data-status='ready']"
    )


def enter(lab) -> None:
    """Confirm the form that is, or will be, open, and wait until it is gone: the focus is then
    where it was.
    """
    lab.page.wait_for_selector(".form :focus")
    lab.page.keyboard.press("Enter")
    lab.page.wait_for_selector(".form", state="detached")


def test_roles_are_dragged_from_the_palette_and_the_board_says_it_as_code(open_notebook) -> None:
    lab = opened(open_notebook)
    page, card = lab.page, lambda node: lab.page.locator(f".card[data-node='{node}']")
    lab.screenshot("board-empty")
    # a role onto a node, with an option
    lab.drag(page.locator(".entry[data-cls='Counter']"), card("client1"))
    page.locator(".form input[name='option:start']").fill("20 + 2")
    page.wait_for_selector(".preview:has-text('%rml assign client1 counter=Counter(start=20 + 2)')")
    lab.screenshot("board-form")
    enter(lab)
    chip(lab, "client1", "counter").wait_for()
    assert lab.kernel("print(bed.call('client1/counter', 'add'))") == "23"
    # an error shows in the form, in place, and nothing has changed
    lab.drag(page.locator(".entry[data-cls='Counter']"), card("client2"))
    page.locator(".form input[name='option:start']").fill("nothing")
    page.keyboard.press("Enter")
    page.wait_for_selector(".form .fault:has-text(\"nothing: name 'nothing' is not defined\")")
    lab.screenshot("board-error")
    page.keyboard.press("Escape")
    assert lab.kernel("print(sorted(bed.spec()['nodes']['client2']['roles']))") == "[]"
    # the code is what was done; undo and redo
    assert page.locator(".code").inner_text() == "%rml assign client1 counter=Counter(start=20 + 2)"
    page.locator(".board").get_by_role("button", name="Python").click()
    assert (
        page.locator(".code").inner_text()
        == "bed.assign('client1', 'counter', Counter, options={'start': 20 + 2})"
    )
    page.locator(".board").get_by_role("button", name="Undo").click()
    chip(lab, "client1", "counter").wait_for(state="detached")
    assert lab.kernel("print(bed.spec()['nodes']['client1']['roles'])") == "{}"
    page.locator(".board").get_by_role("button", name="Redo").click()
    chip(lab, "client1", "counter").wait_for()
    # into the clipboard, and into a cell, which does the same
    page.locator(".board").get_by_role("button", name="Copy").click()
    page.wait_for_selector(".note:has-text('copied')")
    assert page.evaluate("navigator.clipboard.readText()").startswith("bed.assign(")
    page.locator(".board").get_by_role("button", name="Insert as cell").click()
    page.wait_for_selector(".note:has-text('inserted below')")
    assert lab.cells()[-1]["source"].startswith("bed.assign(")
    # what a magic changes is drawn, too
    lab.kernel(
        "bed.assign('server', 'watcher', Watcher); bed.relate('server', 'counter', 'client1')"
    )
    chip(lab, "server", "watcher").wait_for()
    page.wait_for_selector(".edges .label:has-text('counter')", state="attached")
    assert lab.page.locator(".error-box").is_hidden()
    lab.screenshot("board-light")
    lab.theme("JupyterLab Dark")
    lab.screenshot("board-dark")
    lab.theme("JupyterLab Light")
    # done again, it has the state that it had
    assert lab.kernel("print(bed.call('server/watcher', 'watch'))") == "23"


def test_roles_are_moved_wired_and_ended_by_hand(open_notebook) -> None:
    lab = opened(open_notebook, 2)
    page, card = lab.page, lambda node: lab.page.locator(f".card[data-node='{node}']")
    board = page.locator(".board")
    # onto a selection: each gets its own value
    for node in ("client1", "client2", "client3"):
        card(node).click(modifiers=["Shift"])
    lab.drag(page.locator(".entry[data-cls='Counter']"), card("client2"))
    page.locator(".form input[name='option:start']").fill("i * 10 + n")
    enter(lab)
    chip(lab, "client3", "counter").wait_for()
    assert (
        lab.kernel("print([bed.call(f'client{i}/counter', 'add') for i in (1, 2, 3)])")
        == "[4, 14, 24]"
    )
    page.keyboard.press("Escape")
    # from node to node, with its state, and from engine to engine
    card("server").click()
    page.locator(".board .inspector .close").click()
    lab.drag(chip(lab, "client2", "counter"), card("server"))
    chip(lab, "server", "counter").wait_for()
    assert (
        lab.kernel(
            "print(bed.call('server/counter', 'add'), 'counter' in"
            " bed.spec()['nodes']['client2']['roles'])"
        )
        == "15 False"
    )
    # a need is shown before the run
    board.get_by_role("button", name="+ Nodes").click()
    page.locator(".form input[name='nodes']").fill("guard")
    enter(lab)
    lab.drag(page.locator(".entry[data-cls='Watcher']"), card("guard"))
    enter(lab)
    chip(lab, "guard", "watcher").wait_for()
    page.wait_for_selector(".chip.needy[data-role='watcher']", state="attached")
    # from role to role: a relationship, with the name that is asked for
    lab.drag(chip(lab, "guard", "watcher"), chip(lab, "server", "counter"))
    assert page.locator(".form input[name='relationship']").input_value() == "counter"
    lab.screenshot("board-relate")
    enter(lab)
    page.wait_for_selector(".chip[data-role='watcher']:not(.needy)", state="attached")
    assert (
        lab.kernel(
            "print(bed.call('guard/watcher', 'watch'),"
            " bed.spec()['nodes']['guard']['relationships'])"
        )
        == "15 {'counter': ['server/counter']}"
    )
    # a service is called from the inspector; an error that nobody waited for is shown in place
    chip(lab, "server", "counter").click()
    board.get_by_role("button", name="call add").click()
    page.locator(".form input[name='arguments']").fill("amount=7")
    enter(lab)
    page.wait_for_selector(
        ".scene .fault.note:has-text('%rml call server/counter add amount=7 22')"
    )
    page.wait_for_selector(
        ".code:has-text('%rml relate guard counter=server/counter %rml call server/counter add"
        " amount=7')"
    )
    lab.screenshot("board-inspector")
    lab.kernel("bed.call('server/counter', 'add', {'amount': 100})")
    page.wait_for_selector(".card[data-node='guard'] .chip.faulty .doing:has-text('✕ 1')")
    chip(lab, "guard", "watcher").click()
    page.wait_for_selector(".inspector .failure summary:has-text('ValueError: too many')").click()
    page.wait_for_selector(".inspector .failure pre:has-text('raise ValueError(\"too many\")')")
    lab.screenshot("board-failure")
    # to another engine, and into the bin
    there = lab.kernel("print(bed.spec()['nodes']['client1']['engine'])")
    other = "engine1" if there == "engine0" else "engine0"
    lab.drag(card("client1").locator(".head"), page.locator(f".frame[data-host='{other}'] > span"))
    page.wait_for_function(
        "(code) => code.textContent.includes('%rml move client1')",
        arg=page.locator(".code").element_handle(),
    )
    assert (
        lab.kernel(
            "print(bed.spec()['nodes']['client1']['engine'], bed.call('client1/counter', 'add'))"
        )
        == f"{other} 5"
    )
    lab.drag(chip(lab, "client3", "counter"), page.locator(".bin"))
    chip(lab, "client3", "counter").wait_for(state="detached")
    lab.drag(card("client3").locator(".head"), page.locator(".bin"))
    card("client3").wait_for(state="detached")
    assert (
        lab.kernel("print(list(bed.spec()['nodes']))")
        == "['client1', 'client2', 'guard', 'server']"
    )
    lab.screenshot("board-engines")
    assert lab.page.locator(".error-box").is_hidden()


def test_keys_alone_do_the_same(open_notebook) -> None:
    lab = opened(open_notebook)
    page = lab.page
    press = page.keyboard.press

    def choose(text: str) -> None:
        """Go to the item of the menu, by arrows, and take it."""
        page.wait_for_selector(".menu [role=menuitem]")
        for _ in range(40):
            if page.evaluate(
                "() => document.activeElement.shadowRoot.activeElement.textContent"
            ).startswith(text):
                break
            press("ArrowDown")
        press("Enter")

    # from the palette: search, go down, put it on nodes that are named
    page.locator(".palette input").focus()
    page.keyboard.type("counter")
    press("ArrowDown")
    press("Enter")
    page.wait_for_selector(".form input[name='nodes']:focus")
    page.keyboard.type("client*")
    enter(lab)
    chip(lab, "client3", "counter").wait_for()
    # among the nodes: a role, what it shall know, a new node, one less
    press("Tab")
    page.wait_for_selector(".card:focus")
    for _ in range(4):
        press("ArrowRight")
    page.wait_for_selector(".card[data-node='server']:focus")
    press("Enter")
    choose("Put a role here")
    choose("Watcher")
    page.wait_for_selector(".form")
    enter(lab)
    chip(lab, "server", "watcher").wait_for()
    press("Enter")
    choose("watcher")
    choose("Let it know roles")
    page.wait_for_selector(".form input[name='instances']:focus")
    page.keyboard.type("client*/counter")
    enter(lab)
    page.wait_for_selector(".edges .label:has-text('counter')", state="attached")
    press("n")
    page.wait_for_selector(".form input[name='nodes']:focus")
    page.keyboard.type("late")
    enter(lab)
    page.wait_for_selector(".card[data-node='late']")
    page.wait_for_selector(".card[data-node='server']:focus")
    press("Enter")
    choose("watcher")
    choose("Move to another node")
    page.wait_for_selector(".form input[name='to']:focus")
    page.keyboard.type("late")
    enter(lab)
    chip(lab, "late", "watcher").wait_for()
    press("Delete")
    page.wait_for_selector(".card[data-node='server']", state="detached")
    page.wait_for_selector(".announcer:has-text('done: %rml remove server')", state="attached")
    page.wait_for_selector(".card:focus")  # the keys go on where there is something
    assert (
        lab.kernel("""
with Testbed(engines=0) as other:
    other.spawn("server", "client{1..3}")
    other.assign("client*", "counter", Counter)
    other.assign("server", "watcher", Watcher)
    other.relate("server", "counter", "client*/counter")
    other.spawn("late")
    other.migrate("server/watcher", "late")
    other.remove("server")
    print({**other.spec(), "board": None} == {**bed.spec(), "board": None})
""")
        == "True"
    )
    page.locator(".board .bar .spawn").focus()
    press("Control+z")
    page.wait_for_selector(".card[data-node='server']")
    press("Control+y")
    page.wait_for_selector(".card[data-node='server']", state="detached")


def test_300_nodes_are_drawn_small_and_a_page_without_a_kernel_draws_them(
    open_notebook, browser, tmp_path
) -> None:
    lab = open_notebook(
        BOARD.replace("ENGINES", "0")
        .replace("client{1..3}", "client{1..300}")
        .rsplit("board = ", 1)[0]
        + 'bed.assign("client*", "counter", Counter)\nbed.wire("random-regular", nodes="client*",'
        ' role="counter", degree=4)',
        f"board = bed.board()\nboard.to_html({str(tmp_path / 'board.html')!r})\nboard",
    )
    lab.run_all()
    lab.page.wait_for_selector(".board[data-ready='1']")
    assert lab.page.locator(".card.small .chip.dot").count() == 300
    lab.page.locator(".board").evaluate(
        "(board) => board.getRootNode().host.scrollIntoView({block: 'start'})"
    )
    lab.screenshot("board-300")
    lab.drag(
        lab.page.locator(".entry[data-cls='Watcher']"),
        lab.page.locator(".card[data-node='client150']"),
    )
    enter(lab)
    chip(lab, "client150", "watcher").wait_for(state="attached")
    assert lab.kernel("print(bed.call('client150/watcher', 'watch'))") == "0"
    context = browser.new_context(offline=True)
    page, troubles = context.new_page(), []
    page.on("console", lambda said: troubles.append(said.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.goto((tmp_path / "board.html").as_uri())
    page.wait_for_selector(".board[data-ready='1'] .card[data-node='client300']", state="attached")
    assert (
        page.title() == "<Board: 301 nodes, 300 roles>"
        and (tmp_path / "board.html").stat().st_size < 1_000_000
    )
    assert troubles == []
    context.close()
