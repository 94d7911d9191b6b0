"""A real JupyterLab in a real Chromium, and notebooks opened in it."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from nbformat.sign import NotebookNotary
from playwright.sync_api import Browser, Page, sync_playwright

NO_CHROMIUM = "no Chromium here: install it, or say where it is in CHROMIUM"
LIMIT = 120.0
"""Seconds that anything may take."""
SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--force-color-profile=srgb",
]
SETTINGS = {
    "@jupyterlab/apputils-extension:notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
        "doNotDisturbMode": True,
    },
    "@jupyterlab/notebook-extension:tracker": {
        "windowingMode": "none",
        "kernelShutdown": True,
        "autoStartDefaultKernel": True,
    },
    "@jupyterlab/docmanager-extension:plugin": {"autosave": False, "confirmClosingDocument": False},
    "@jupyterlab/codemirror-extension:plugin": {"defaultConfig": {"cursorBlinkRate": 0}},
}
READY = """async () => {
  const app = window.jupyterapp;
  await app.restored;
  for (;;) {
    const panel = app.shell.currentWidget;
    if (panel?.context && panel.content?.model) {
      await panel.context.ready;
      await panel.sessionContext.ready;
      if (panel.sessionContext.session?.kernel?.status === "idle") break;
    }
    await new Promise((done) => setTimeout(done, 50));
  }
  if (app.shell.mode) app.shell.mode = "single-document"; // in JupyterLab
  app.shell.collapseLeft?.();
}"""
EXECUTE = """async (code) => {
  const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  const future = kernel.requestExecute({ code, store_history: false });
  let text = "";
  future.onIOPub = ({ header, content }) => {
    if (header.msg_type === "stream") text += content.text;
    if (header.msg_type === "error") text += content.ename + ": " + content.evalue;
  };
  const reply = await future.done;
  return [reply.content.status, text];
}"""


def chromium() -> str | None:
    """Where Chromium is: what CHROMIUM says, or what the path finds."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")


@contextmanager
def open_browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), headless=True, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def browser_and_server() -> Iterator[tuple[Browser, Server]]:
    """Chromium and a JupyterLab server, for a program, which ends where there is no Chromium."""
    if chromium() is None:
        sys.exit(NO_CHROMIUM)
    with open_browser() as browser, tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder))
        try:
            yield browser, server
        finally:
            server.stop()


def _end_with_parent() -> None:
    """Have the kernel end this process when its parent dies, however that may be (prctl's
    PR_SET_PDEATHSIG).
    """
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


class Server:
    """A JupyterLab server in a folder of its own."""

    def __init__(self, folder: Path):
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.base = f"http://127.0.0.1:{port}"
        for name in ("notebooks", "apps", "user", "workspaces"):
            (folder / name).mkdir()
        (folder / "apps" / "overrides.json").write_text(json.dumps(SETTINGS))
        places = {
            key: str(folder / key.lower())
            for key in (
                "JUPYTER_CONFIG_DIR",
                "JUPYTER_DATA_DIR",
                "JUPYTER_RUNTIME_DIR",
                "IPYTHONDIR",
            )
        }
        self.log = (folder / "log").open("w")
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "jupyterlab",
                "--no-browser",
                "--allow-root",
                "--ServerApp.ip=127.0.0.1",
                f"--ServerApp.port={port}",
                "--ServerApp.port_retries=0",
                "--IdentityProvider.token=T",
                f"--ServerApp.root_dir={folder / 'notebooks'}",
                f"--LabApp.app_settings_dir={folder / 'apps'}",
                f"--LabApp.user_settings_dir={folder / 'user'}",
                f"--LabApp.workspaces_dir={folder / 'workspaces'}",
                "--LabApp.expose_app_in_browser=True",
                "--JupyterNotebookApp.expose_app_in_browser=True",
                "--LabApp.news_url=",
                "--LabApp.extension_manager=readonly",
                "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
            ],
            env={**os.environ, **places},
            stdout=self.log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,
        )
        deadline = time.monotonic() + LIMIT
        while True:
            try:
                urllib.request.urlopen(f"{self.base}/api/status?token=T", timeout=5).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(
                        f"JupyterLab does not start:\n{(folder / 'log').read_text()[-2000:]}"
                    ) from None
                time.sleep(0.1)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(30.0)
        self.log.close()


class Lab:
    """A notebook, open in a page of its own.

    What goes wrong in the page is in `troubles` and `outside`.
    """

    def __init__(self, server: Server, browser: Browser, name: str, cells: list[str]):
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(cell) for cell in cells]
        )
        notebook.metadata["kernelspec"] = {
            "name": "python3",
            "display_name": "Python 3",
            "language": "python",
        }
        nbformat.write(notebook, server.folder / "notebooks" / f"{name}.ipynb")
        self.name = name
        self.troubles: list[str] = []
        self.outside: list[str] = []
        self.context = browser.new_context(
            viewport={"width": 1280, "height": 900}, device_scale_factor=1, reduced_motion="reduce"
        )
        self.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=server.base)
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(LIMIT * 1000)
        self.page.on(
            "console",
            lambda said: self.troubles.append(said.text) if said.type == "error" else None,
        )
        self.page.on("pageerror", lambda error: self.troubles.append(error.stack or str(error)))
        self.page.on(
            "request",
            lambda asked: (
                None
                if asked.url.startswith((server.base, "data:", "blob:"))
                else self.outside.append(asked.url)
            ),
        )
        self.server = server
        self.load()

    @property
    def file(self) -> Path:
        """Where the notebook is saved."""
        return self.server.folder / "notebooks" / f"{self.name}.ipynb"

    def load(self, place: str = "lab/tree") -> None:
        """Open the notebook, or again as it was saved; its kernel goes on.

        In Notebook 7 it is in "notebooks".
        """
        self.page.goto(
            f"{self.server.base}/{place}/{self.name}.ipynb?token=T&reset",
            wait_until="domcontentloaded",
        )
        self.page.wait_for_function("() => !!window.jupyterapp")
        self.page.evaluate(READY)

    def replace(self, notebook: Any, trusted: bool) -> None:
        """Put another notebook in this one's place, for the next time it is loaded."""
        nbformat.write(notebook, self.file)
        if trusted:
            NotebookNotary(data_dir=str(self.server.folder / "jupyter_data_dir")).sign(
                nbformat.read(self.file, 4)
            )

    def end_kernel(self) -> None:
        """End the kernel, as on the day before."""
        self.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")

    def command(self, name: str) -> Any:
        """Run a command of JupyterLab and wait for its end: ``notebook:run-all-cells`` is False
        when a cell failed.
        """
        return self.page.evaluate("(name) => window.jupyterapp.commands.execute(name)", name)

    def run_all(self) -> None:
        if self.command("notebook:run-all-cells") is not True:
            raise AssertionError(f"a cell failed: {json.dumps(self.cells())[-3000:]}")

    def start(self, name: str = "notebook:run-all-cells") -> None:
        """Begin a command, and go on."""
        self.page.evaluate("(name) => { window.jupyterapp.commands.execute(name); }", name)

    def kernel(self, code: str) -> str:
        """What code prints in the kernel; it waits until no cell runs."""
        status, text = self.page.evaluate(EXECUTE, code)
        if status != "ok":
            raise AssertionError(f"{code!r}: {text}")
        return text.strip()

    def cells(self) -> list[dict[str, Any]]:
        """The notebook's cells, with their outputs, as they are now."""
        return self.page.evaluate(
            "() => [...window.jupyterapp.shell.currentWidget.content.model.cells].map((c) =>"
            " c.toJSON())"
        )

    def theme(self, name: str) -> None:
        """Switch to "JupyterLab Dark" or "JupyterLab Light"."""
        light = "true" if name.endswith("Light") else "false"
        # which JupyterLab removes twice if it loads a theme while it fades: an error in the page
        splash = "#jupyterlab-splash"
        self.page.wait_for_selector(splash, state="detached")
        self.page.evaluate(
            "(theme) => window.jupyterapp.commands.execute('apputils:change-theme', { theme })",
            name,
        )
        self.page.wait_for_selector(f"body[data-jp-theme-light='{light}']", state="attached")
        self.page.wait_for_selector(splash, state="detached")

    def drag(self, source: Any, target: Any) -> None:
        """Press on one locator, move to another, and let go, as a hand does."""
        source.scroll_into_view_if_needed()
        begin, end = source.bounding_box(), target.bounding_box()
        mouse = self.page.mouse
        mouse.move(begin["x"] + begin["width"] / 2, begin["y"] + begin["height"] / 2)
        mouse.down()
        mouse.move(end["x"] + end["width"] / 2, end["y"] + end["height"] / 2, steps=10)
        mouse.up()

    def screenshot(self, name: str, what: Any = None) -> Path:
        """Keep a picture of the page, or of a locator, among the screenshots."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        path = SCREENSHOTS / f"{name}.png"
        (what or self.page).screenshot(path=path)
        return path

    def close(self) -> None:
        self.context.close()
