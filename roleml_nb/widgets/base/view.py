"""A live view: a widget that shows a testbed or a recording, and takes orders from the page."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import anywidget

from roleml_nb.pictures import Picture
from roleml_nb.role import RoleMLError, TestbedError
from roleml_nb.testbed.operations.commands.requests import check_arguments

from .bundle import script
from .displayed import Displayed
from .held import hold
from .page import page
from .worker import Worker

__all__ = ["View"]

BEAT = 0.1
"""Seconds between two batches to the page: ten a second look continuous, and cost a kernel 1 % of a
core.
"""

PAGES, LONGEST = 1000, 100
"""Pages that can show a view one after the other, and letters of what one calls itself."""


class View(Displayed, anywidget.AnyWidget):
    """What all live views share.

    A subclass sets `source` to its ``__file__``, beside which its .js and .css lie, draws `svg`,
    and says what it shows in `describe`.

    The page sends nothing but messages: requests, which methods called ``ask_…`` answer, one at a
    time, on a thread of the view; what they return goes back, and a RoleMLError goes back as its
    text. The kernel alone sets traits, whose names begin with an underscore. `beat` is called ten
    times a second on another thread while somebody sees the view, and not at all otherwise. A view
    that nobody sees, and of which nothing is asked, has no thread.
    """

    source = ""

    def __init_subclass__(cls, **options: Any) -> None:
        if "source" in vars(cls):
            cls._esm = script(cls.source)
        super().__init_subclass__(**options)

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self._seen: set[str] = set()
        self._known: set[str] = set()
        self._changed: set[str] = set()
        self.observe(lambda change: self._changed.add(change["name"]), self._told)
        self._look, self._ended = threading.Condition(), False
        self._pulse: threading.Thread | None = None
        self._answers = Worker(f"{type(self).__name__.lower()}-answers")
        self.on_msg(self._take)
        if hasattr(self.comm, "_reply_subshell_for"):
            # ipykernel 7 hands the page's messages to the subshell of the kernel's last one, which
            # is the main shell, and that is busy while a cell runs. The page's own choice is a
            # shell that is free.
            self.comm._reply_subshell_for = lambda data, default: default

    # what subclasses draw

    def svg(self) -> str:
        """The view as it stands, as a picture; the same for the same state."""
        raise TypeError(f"{type(self).__name__} draws no picture")

    def describe(self) -> str:
        """The view as it stands in one line of text; the same for the same state."""
        return f"<{type(self).__name__}>"

    def beat(self) -> None:
        """Tell the page what is new."""

    @property
    def _told(self) -> list[str]:
        """The traits that the kernel sets, other than constants."""
        return [
            name
            for name in self.trait_names(sync=True)
            if name.startswith("_")
            and not name.startswith(("_model", "_view", "_esm", "_css", "_anywidget", "_dom"))
            and not self.trait_metadata(name, "constant")
        ]

    def saved(self) -> dict[str, Any]:
        """The traits that a page without a kernel begins with; bytes are allowed."""
        return {name: getattr(self, name) for name in self._told}

    # to the page and back

    def tell(self, kind: str, content: Any = None, buffers: Iterable[Any] = ()) -> None:
        """Send a message to every page that shows this view. From any thread."""
        self.send({"kind": kind, "content": content}, buffers=list(buffers))

    @property
    def seen(self) -> bool:
        """Whether some page shows the view now, in its visible part."""
        return bool(self._seen)

    def _take(self, _: Any, content: Any, buffers: list[Any]) -> None:
        """A message of the page; may come on a subshell's thread while a cell runs, so it is only
        passed on.
        """
        if not isinstance(content, dict):
            return
        kind = content.get("kind")
        if not isinstance(kind, str):
            return
        if kind == "seen":
            view, seen = str(content.get("view"))[:LONGEST], content.get("seen")
            if seen and view not in self._known and len(self._known) >= PAGES:
                return
            # what was told before it was drawn may not have been heard
            if seen and view not in self._known:
                self._known.add(view)
                self.send_state(list(self._changed))
            with self._look:
                (self._seen.add if seen else self._seen.discard)(view)
                if self._seen and self._pulse is None and not self._ended:
                    name = f"{type(self).__name__.lower()}-beats"
                    self._pulse = threading.Thread(target=self._beats, name=name, daemon=True)
                    self._pulse.start()
                self._look.notify_all()
            return
        answer: Callable[..., Any] | None = (
            getattr(self, f"ask_{kind}", None) if kind.isidentifier() else None
        )
        if answer is not None:
            self._answers.submit(
                self._answer, answer, content.get("id"), content.get("content") or {}
            )

    def _answer(self, answer: Callable[..., Any], number: Any, given: Any) -> None:
        try:
            if not isinstance(given, dict):
                raise TestbedError(
                    f"a page asks with names and values, not with {type(given).__name__}"
                )
            value = answer(**check_arguments(answer, given))
            self.send({"kind": "answer", "id": number, "value": value})
        except RoleMLError as error:
            self.send({"kind": "refusal", "id": number, "error": str(error)})
        except Exception as error:  # shown in the page, which waits for an answer
            self.send(
                {"kind": "refusal", "id": number, "error": f"{type(error).__name__}: {error}"}
            )

    def _beats(self) -> None:
        trouble = ""
        while True:
            with self._look:
                if self._ended or not self._seen:
                    self._pulse = None
                    return
            before = trouble
            try:
                self.beat()
                trouble = ""
            except RoleMLError as error:
                trouble = str(error)
            except Exception as error:  # shown in the page: nobody else would learn of it
                trouble = f"{type(error).__name__}: {error}"
            if trouble or before:
                self.tell("trouble", trouble)
            with self._look:
                self._look.wait_for(lambda: self._ended, BEAT)

    # what stays

    def picture(self) -> Picture:
        """The view as it stands, as a picture that shows without a kernel, too."""
        return Picture(self.svg(), self.describe())

    def to_html(self, path: str | Path) -> None:
        """Write the view as it stands as one page that needs neither kernel nor network."""
        Path(path).write_text(self._page(self.saved()), encoding="utf-8")

    def _page(self, saved: dict[str, Any]) -> str:
        shown = self.picture()
        return page(shown.text, script(self.source), saved, shown.svg)

    @property
    def owner(self) -> Any:
        """The trace of the testbed that is shown; None where there is no testbed."""
        return None

    def rest(self) -> None:
        """End the view's threads, and leave its last picture where it is displayed. Idempotent.

        The kernel keeps the view until another testbed has ended; until then it can be displayed
        again.
        """
        if self._end():
            self.settle()
            if self.owner is not None:
                hold(self.owner, self)

    def _end(self) -> bool:
        """End the threads; whether they had not been ended before."""
        with self._look:
            first, self._ended = not self._ended, True
            self._answers.stop()
            pulse = self._pulse
            self._look.notify_all()
        if pulse is not None and threading.current_thread() is not pulse:
            pulse.join(5.0)
        return first

    def close(self) -> None:
        if "_answers" in vars(self):  # else it was refused before it began
            self._end()
            self.settle()
        super().close()

    def __repr__(self) -> str:
        return self.describe()

    def _repr_mimebundle_(self, **how: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        still, metadata = self.picture()._repr_mimebundle_()
        bundle = None if self.comm is None else super()._repr_mimebundle_(**how)
        return (
            (still, metadata)
            if bundle is None
            else ({**bundle[0], **still}, {**bundle[1], **metadata})
        )
