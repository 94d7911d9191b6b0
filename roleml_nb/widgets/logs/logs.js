// The pane of logs: the last lines. It stays at its end while lines are added, unless somebody has
// scrolled.

import { openView, tag } from "../base/common.js";

const NO_LINES = "nothing was logged yet";

export default () => ({
  render({ model, el }) {
    const view = openView({ model, el }, "logpane");
    const list = tag("div", { class: "lines" });
    const pane = tag(
      "div",
      { class: "pane", tabindex: 0, role: "log", "aria-label": "log", "aria-live": "off" },
      list
    );
    pane.style.maxHeight = model.get("_height");
    view.root.append(pane);
    view.onTrait("_lines", (lines) => {
      const first = lines.length ? lines[0][0] : 0;
      for (const row of /** @type {HTMLElement[]} */ ([...list.children]))
        if (!lines.length || !(Number(row.dataset.number) >= first)) row.remove();
      const last = /** @type {HTMLElement | null} */ (list.lastElementChild);
      const next = last ? Number(last.dataset.number) + 1 : first;
      for (const [number, level, text] of lines)
        if (number >= next)
          list.append(tag("div", { class: `row ${level}`, "data-number": number }, text));
      if (!list.firstChild) list.append(tag("div", { class: "row nothing" }, NO_LINES));
    });
    return view.close;
  }
});
