// A card in the corner of the page. It needs no view: whatever notebook's kernel made the model,
// the page draws the card.

import { followTheme, tag } from "../base/common.js";

const CORNER_ID = "roleml-notices";

function findOrMakeCorner() {
  const existing = document.getElementById(CORNER_ID);
  if (existing) return existing;
  const corner = tag("div", { id: CORNER_ID });
  Object.assign(corner.style, {
    position: "fixed",
    right: "16px",
    bottom: "32px",
    zIndex: "10000",
    display: "flex",
    flexDirection: "column",
    gap: "8px",
    maxWidth: "min(560px, calc(100vw - 32px))"
  });
  document.body.append(corner);
  return corner;
}

export default () => ({
  initialize({ model }) {
    const controller = new AbortController();
    const el = tag("div", { class: "roleml-notice" });
    const shadow = el.attachShadow({ mode: "open" });
    const text = tag("div", { class: "text" });
    const closeButton = tag(
      "button",
      {
        class: "close",
        title: "close; the next cell tells it, too",
        "aria-label": "close",
        onclick: () => update([])
      },
      "×"
    );
    const card = tag(
      "div",
      { class: "notice", role: "alert", hidden: true },
      tag("div", { class: "head" }, tag("b", {}, model.get("_name") || "notebook"), closeButton),
      text
    );
    shadow.append(tag("style", {}, STYLE), card);
    followTheme(el, controller.signal);
    findOrMakeCorner().append(el);

    const update = (lines) => {
      text.replaceChildren(...lines.map((line) => tag("p", {}, line)));
      card.hidden = !lines.length;
    };
    const handleLines = () => update(model.get("_lines"));
    const handleKernelGone = () => update([]); // it has ended, or begins anew
    model.on("change:_lines", handleLines);
    model.on("comm_live_update", handleKernelGone);
    handleLines();
    return () => {
      model.off("change:_lines", handleLines);
      model.off("comm_live_update", handleKernelGone);
      controller.abort();
      el.remove();
    };
  }
});
