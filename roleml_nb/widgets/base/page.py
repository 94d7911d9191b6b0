"""A view as one HTML page that needs neither kernel nor network; within a notebook, as a frame that
takes the place of the picture before it.
"""

from __future__ import annotations

import base64
import html
import json
from typing import Any

__all__ = ["page"]

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ margin: 1rem auto; max-width: 75rem; font-family: system-ui, sans-serif; }}
</style>
</head>
<body>
<main id="view"></main>
<noscript>{svg}</noscript>
<script type="application/json" id="state">{state}</script>
<script type="application/json" id="module">{module}</script>
<script type="module">
const read = (id) => JSON.parse(document.getElementById(id).textContent);
const revive = (_, value) => value && typeof value === "object" && "$bytes" in value
  ? new DataView(Uint8Array.from(atob(value.$bytes), (char) => char.charCodeAt(0)).buffer) : value;
const state = JSON.parse(document.getElementById("state").textContent, revive);
const model = {{
  offline: true, get: (name) => state[name], set: (name, value) => {{ state[name] = value; }},
  on() {{}}, off() {{}}, save_changes() {{}}, send() {{}},
}};
const url = URL.createObjectURL(new Blob([read("module")], {{ type: "text/javascript" }}));
const made = (await import(url)).default;
const view = typeof made === "function" ? await made() : made;
const el = document.getElementById("view");
await view.initialize?.({{ model }});
await view.render({{ model, el }});
const frame = window.frameElement;
if (frame) {{
  document.body.style.margin = "0";
  new ResizeObserver(() => {{ frame.style.height = `${{el.offsetHeight + 2}}px`; }}).observe(el);
  const outer = frame.ownerDocument.body;
  const follow = () => Object.assign(document.body.dataset, outer.dataset);
  new MutationObserver(follow).observe(outer, {{ attributes: true }});
  follow();
  const jupyter = frame.closest(".jp-OutputArea-child"), myst = frame.closest(".cell_output > *");
  const output = jupyter ?? myst ?? frame;
  const before = output.previousElementSibling;
  const image = "img, svg";
  if (before?.querySelector(image) || before?.matches(image)) before.style.display = "none";
}}
</script>
</body>
</html>
"""


def page(title: str, module: str, state: dict[str, Any], svg: str) -> str:
    """Return a page that renders `module` on a model with `state`, or `svg` without scripts."""
    return PAGE.format(title=html.escape(title), svg=svg, module=_json(module), state=_json(state))


def _json(value: Any) -> str:
    """Return JSON that may stand within a script element."""
    return json.dumps(value, default=_bytes, separators=(",", ":")).replace("<", "\\u003c")


def _bytes(value: Any) -> dict[str, str]:
    return {"$bytes": base64.b64encode(value).decode("ascii")}
