"""A live view: a widget that shows a testbed or a recording, and serves requests of its page."""

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
from .former_methods import warn_of_former
from .held import hold
from .page import page
from .worker import Worker

__all__ = ["View"]

TICK_INTERVAL_S = 0.1
"""Ten batches a second look continuous in a page, and cost a kernel 1 % of a core."""
STOP_TIMEOUT_S = 5.0
MAX_PAGES = 1000
"""Pages that can show a view one after the other."""
MAX_PAGE_ID_LENGTH = 100
UNSYNCED = ("_model", "_view", "_esm", "_css", "_anywidget", "_dom")
"""Prefixes of traits of ipywidgets and anywidget."""


class View(Displayed, anywidget.AnyWidget):
    """The base of all live views.

    A subclass sets `source` to its ``__file__``, beside which its .js and .css lie, draws `svg`,
    and returns a line of text from `describe`.

    A page sends messages only. Methods called ``handle_…`` serve its requests, one at a time, on a
    thread of the view: the page gets the value that they return, or the text of the error that they
    raise. The kernel alone sets traits, whose names begin with an underscore. `on_tick` is called
    ten times a second on another thread while a page shows the view, and not at all otherwise. A
    view that no page shows, and without requests, has no thread.
    """

    source = ""
    _bed: Any = None
    """The testbed that the view shows, if it shows one."""

    def __init_subclass__(cls, **options: Any) -> None:
        if "source" in vars(cls):
            cls._esm = script(cls.source)
        super().__init_subclass__(**options)

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self._visible_pages: set[str] = set()
        self._known_pages: set[str] = set()
        self._changed_traits: set[str] = set()
        self.observe(self._on_trait_change, self._synced_traits)
        self._state_changed = threading.Condition()
        self._stopped = False
        self._ticker: threading.Thread | None = None
        self._request_worker = Worker(f"{type(self).__name__.lower()}-requests")
        self.on_msg(self._on_message)
        if hasattr(self.comm, "_reply_subshell_for"):
            # ipykernel 7 hands the page's messages to the subshell of the kernel's last one, which
            # is the main shell, and that is busy while a cell runs. The page's own choice is a
            # shell that is free.
            self.comm._reply_subshell_for = lambda data, default: default

    # what subclasses draw

    def svg(self) -> str:
        """Draw the view as it stands; the same for the same state."""
        raise TypeError(f"{type(self).__name__} draws no picture")

    def describe(self) -> str:
        """Return the view as it stands in one line of text; the same for the same state."""
        return f"<{type(self).__name__}>"

    def on_tick(self) -> None:
        """Send the page what is new."""

    @property
    def _synced_traits(self) -> list[str]:
        """Names of the traits that the kernel sets, other than constants."""
        names = []
        for name in self.trait_names(sync=True):
            if name.startswith("_") and not name.startswith(UNSYNCED):
                if not self.trait_metadata(name, "constant"):
                    names.append(name)
        return names

    def saved(self) -> dict[str, Any]:
        """Return the traits that a page without a kernel begins with; bytes are allowed."""
        return {name: getattr(self, name) for name in self._synced_traits}

    # to the page and back

    def send_message(self, kind: str, content: Any = None, buffers: Iterable[Any] = ()) -> None:
        """Send a message to every page that shows this view. From any thread."""
        self.send({"kind": kind, "content": content}, buffers=list(buffers))

    @property
    def visible(self) -> bool:
        """True while some page shows the view in its visible part."""
        return bool(self._visible_pages)

    @property
    def seen(self) -> bool:
        """Former name of `visible`."""
        warn_of_former("seen", "visible")
        return self.visible

    def _on_trait_change(self, change: Any) -> None:
        self._changed_traits.add(change["name"])

    def _on_message(self, _: Any, content: Any, buffers: list[Any]) -> None:
        """Pass a message of the page on: a subshell's thread may bring it while a cell runs."""
        if not isinstance(content, dict):
            return
        kind = content.get("kind")
        if not isinstance(kind, str):
            return
        if kind == "seen":
            self._on_visibility(str(content.get("view"))[:MAX_PAGE_ID_LENGTH], content.get("seen"))
            return
        handler = self._handler(kind)
        if handler is not None:
            given = content.get("content") or {}
            self._request_worker.submit(self._serve, handler, content.get("id"), given)

    def _on_visibility(self, page_id: str, visible: Any) -> None:
        """Note that a page shows the view, or hides it; start the ticks when the first one does."""
        if visible and page_id not in self._known_pages:
            if len(self._known_pages) >= MAX_PAGES:
                return
            # the page may have missed changes that were sent before it had drawn the view
            self._known_pages.add(page_id)
            self.send_state(list(self._changed_traits))
        with self._state_changed:
            if visible:
                self._visible_pages.add(page_id)
            else:
                self._visible_pages.discard(page_id)
            if self._visible_pages and self._ticker is None and not self._stopped:
                name = f"{type(self).__name__.lower()}-ticks"
                self._ticker = threading.Thread(target=self._tick_loop, name=name, daemon=True)
                self._ticker.start()
            self._state_changed.notify_all()

    def _handler(self, kind: str) -> Callable[..., Any] | None:
        """Return the method that serves a page's request of that kind, or None.

        Methods of ipywidgets that are called ``handle_…`` are none of a page's business.
        """
        name = f"handle_{kind}"
        if not kind.isidentifier() or hasattr(anywidget.AnyWidget, name):
            return None
        return getattr(self, name, None)

    def _serve(self, handler: Callable[..., Any], number: Any, given: Any) -> None:
        """Call the handler of a request, and send the page its value, or the text of its error."""
        try:
            if not isinstance(given, dict):
                raise TestbedError(
                    f"a page asks with names and values, not with {type(given).__name__}"
                )
            value = handler(**check_arguments(handler, given))
            self.send({"kind": "answer", "id": number, "value": value})
        except RoleMLError as error:
            self.send({"kind": "refusal", "id": number, "error": str(error)})
        except Exception as error:  # shown in the page, which waits for an answer
            text = f"{type(error).__name__}: {error}"
            self.send({"kind": "refusal", "id": number, "error": text})

    def _tick_loop(self) -> None:
        """Call `on_tick` until no page shows the view; show its errors in the page."""
        trouble = ""
        while True:
            with self._state_changed:
                if self._stopped or not self._visible_pages:
                    self._ticker = None
                    return
            before = trouble
            try:
                self.on_tick()
                trouble = ""
            except RoleMLError as error:
                trouble = str(error)
            except Exception as error:  # shown in the page: nobody else would learn of it
                trouble = f"{type(error).__name__}: {error}"
            if trouble or before:
                self.send_message("trouble", trouble)
            with self._state_changed:
                self._state_changed.wait_for(lambda: self._stopped, TICK_INTERVAL_S)

    # what stays

    def picture(self) -> Picture:
        """Draw the view as it stands, as a picture that shows without a kernel, too."""
        return Picture(self.svg(), self.describe())

    def to_html(self, path: str | Path) -> None:
        """Write the view as it stands as one page that needs neither kernel nor network."""
        Path(path).write_text(self._page(self.saved()), encoding="utf-8")

    def _page(self, saved: dict[str, Any]) -> str:
        shown = self.picture()
        return page(shown.text, script(self.source), saved, shown.svg)

    @property
    def owner(self) -> Any:
        """The trace of the testbed that the view shows; None where there is no testbed."""
        return None if self._bed is None else self._bed.trace

    def stop(self) -> None:
        """End the view's threads, and leave its last picture where it is displayed. Idempotent.

        The kernel keeps the view until another testbed has ended; until then it can be displayed
        again.
        """
        if self._stop_threads():
            self.publish_final()
            if self.owner is not None:
                hold(self.owner, self)

    def _stop_threads(self) -> bool:
        """Stop the view's threads; return False when they had been stopped before."""
        with self._state_changed:
            first = not self._stopped
            self._stopped = True
            self._request_worker.stop()
            ticker = self._ticker
            self._state_changed.notify_all()
        if ticker is not None and threading.current_thread() is not ticker:
            ticker.join(STOP_TIMEOUT_S)
        return first

    def close(self) -> None:
        if "_request_worker" in vars(self):  # else the view was refused before it began
            self._stop_threads()
            self.publish_final()
        super().close()

    def __repr__(self) -> str:
        return self.describe()

    def _repr_mimebundle_(self, **how: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        shown, metadata = self.picture()._repr_mimebundle_()
        bundle = None if self.comm is None else super()._repr_mimebundle_(**how)
        if bundle is None:
            return shown, metadata
        return {**bundle[0], **shown}, {**bundle[1], **metadata}
