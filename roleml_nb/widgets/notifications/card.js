// A card in the corner of the page. It needs no view: whatever notebook's kernel made the model,
// the page draws the card.

import { followTheme, tag } from "../base/common.js";

const CORNER = "roleml-notices";

function corner() {
  const there = document.getElementById(CORNER);
  if (there) return there;
  const made = tag("div", { id: CORNER });
  Object.assign(made.style, {
    position: "fixed",
    right: "16px",
    bottom: "32px",
    zIndex: "10000",
    display: "flex",
    flexDirection: "column",
    gap: "8px",
    maxWidth: "min(560px, calc(100vw - 32px))"
  });
  document.body.append(made);
  return made;
}

export default () => ({
  initialize({ model }) {
    const ending = new AbortController();
    const el = tag("div", { class: "roleml-notice" });
    const shadow = el.attachShadow({ mode: "open" });
    const text = tag("div", { class: "text" });
    const close = tag(
      "button",
      {
        class: "close",
        title: "close; the next cell tells it, too",
        "aria-label": "close",
        onclick: () => show([])
      },
      "×"
    );
    const card = tag(
      "div",
      { class: "notice", role: "alert", hidden: true },
      tag("div", { class: "head" }, tag("b", {}, model.get("_name") || "notebook"), close),
      text
    );
    shadow.append(tag("style", {}, STYLE), card);
    followTheme(el, ending.signal);
    corner().append(el);

    const show = (lines) => {
      text.replaceChildren(...lines.map((line) => tag("p", {}, line)));
      card.hidden = !lines.length;
    };
    const follow = () => show(model.get("_lines"));
    const left = () => show([]); // the kernel has ended, or begins anew
    model.on("change:_lines", follow);
    model.on("comm_live_update", left);
    follow();
    return () => {
      model.off("change:_lines", follow);
      model.off("comm_live_update", left);
      ending.abort();
      el.remove();
    };
  }
});
