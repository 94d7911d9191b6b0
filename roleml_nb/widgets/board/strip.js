// The strip below the board: all that was done by hand, as code.

import { tag } from "../base/common.js";

export function makeStrip(board) {
  const code = tag("pre", { class: "code", tabindex: 0, "aria-label": "what was done, as code" });
  const languages = ["%rml", "Python"];
  let language = 0;
  const tabs = languages.map((name, index) =>
    tag(
      "button",
      {
        "aria-pressed": String(index === 0),
        onclick: () => {
          language = index;
          for (const [place, tab] of tabs.entries()) {
            tab.setAttribute("aria-pressed", String(place === index));
          }
          draw();
        }
      },
      name
    )
  );
  const text = () =>
    board.history.done.flatMap((step) => (language ? step.python : step.lines)).join("\n");
  const copied = async (said) => {
    await navigator.clipboard.writeText(text());
    board.announce(said);
    note.textContent = said;
  };
  const note = tag("span", { class: "note" });
  const copy = tag("button", { class: "copy", onclick: () => copied("copied") }, "Copy");
  const insert = tag(
    "button",
    {
      class: "insert",
      title: "put this code into a new cell below the board",
      onclick: async () => {
        if (insertCell(board.model, text())) {
          note.textContent = "inserted below";
          board.announce("inserted as a cell below");
        } else
          await copied("copied: this front end lets no widget insert cells, so paste it into one");
      }
    },
    "Insert as cell"
  );
  const draw = () => {
    const said = text();
    code.textContent = said || "What you do on the board appears here as code.";
    code.classList.toggle("nothing", !said);
    copy.disabled = insert.disabled = !said;
    note.textContent = "";
    code.scrollTop = code.scrollHeight;
  };
  board.drawStrip = draw;
  return tag(
    "div",
    { class: "strip" },
    code,
    tag(
      "div",
      { class: "tools" },
      tag("div", { class: "switch", role: "group", "aria-label": "language" }, ...tabs),
      copy,
      insert,
      note
    )
  );
}

// Put a cell below the one that shows the board; false where the front end does not let a widget
// reach its notebook.
function insertCell(model, source) {
  const shared = model.widget_manager?.context?.model?.sharedModel;
  if (typeof shared?.insertCell !== "function") return false;
  const { id } = model.get("_me");
  const shows = (cell) =>
    cell.cell_type === "code" && JSON.stringify(cell.toJSON().outputs ?? []).includes(id);
  const place = shared.cells.findIndex(shows);
  shared.insertCell(place < 0 ? shared.cells.length : place + 1, {
    cell_type: "code",
    source,
    metadata: { trusted: true }
  });
  return true;
}
