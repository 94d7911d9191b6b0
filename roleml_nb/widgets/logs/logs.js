// The pane of logs: the last lines, which stays at its end while lines are added, unless somebody
// has scrolled.

import { openView, tag } from "../base/common.js";

const NOTHING = "nothing was logged yet";

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
    view.follow("_lines", (lines) => {
      const first = lines.length ? lines[0][0] : 0;
      for (const row of [...list.children])
        if (!lines.length || !(row.dataset.number >= first)) row.remove();
      const next = list.lastChild ? Number(list.lastChild.dataset.number) + 1 : first;
      list.append(
        ...lines
          .filter(([number]) => number >= next)
          .map(([number, level, text]) =>
            tag("div", { class: `row ${level}`, "data-number": number }, text)
          )
      );
      if (!list.firstChild) list.append(tag("div", { class: "row nothing" }, NOTHING));
    });
    return view.close;
  }
});
