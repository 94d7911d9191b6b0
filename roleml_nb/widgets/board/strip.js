// The strip below the board: all that was done by hand, as code.

import { tag } from "../base/common.js";

const LANGUAGES = ["%rml", "Python"];
const NO_CODE = "What you do on the board appears here as code.";

/**
 * Return steps as code.
 * @param {{lines: string[], python: string[]}[]} steps
 * @param {string} language one of LANGUAGES
 * @returns {string}
 */
export function codeOf(steps, language) {
  return steps.flatMap(({ lines, python }) => (language === "Python" ? python : lines)).join("\n");
}

/**
 * Make the strip. `board.updateCodeStrip` shows what has been done by now.
 * @param {import("./board.js").Board} board
 * @returns {HTMLElement}
 */
export function makeCodeStrip(board) {
  const code = tag("pre", { class: "code", tabindex: 0, "aria-label": "what was done, as code" });
  let selected = LANGUAGES[0];
  const buttons = LANGUAGES.map((language) =>
    tag(
      "button",
      {
        "aria-pressed": String(language === selected),
        onclick: () => {
          selected = language;
          for (const button of buttons)
            button.setAttribute("aria-pressed", String(button.textContent === selected));
          update();
        }
      },
      language
    )
  );
  const currentCode = () => codeOf(board.history.done, selected);
  const copyCode = async (message) => {
    await navigator.clipboard.writeText(currentCode());
    board.announce(message);
    note.textContent = message;
  };
  const note = tag("span", { class: "note" });
  const copy = tag("button", { class: "copy", onclick: () => copyCode("copied") }, "Copy");
  const insert = tag(
    "button",
    {
      class: "insert",
      title: "put this code into a new cell below the board",
      onclick: async () => {
        if (insertCell(board.model, currentCode())) {
          note.textContent = "inserted below";
          board.announce("inserted as a cell below");
        } else
          await copyCode(
            "copied: this front end lets no widget insert cells, so paste it into one"
          );
      }
    },
    "Insert as cell"
  );
  const update = () => {
    const text = currentCode();
    code.textContent = text || NO_CODE;
    code.classList.toggle("nothing", !text);
    copy.disabled = !text;
    insert.disabled = !text;
    note.textContent = "";
    code.scrollTop = code.scrollHeight;
  };
  board.updateCodeStrip = update;
  return tag(
    "div",
    { class: "strip" },
    code,
    tag(
      "div",
      { class: "tools" },
      tag("div", { class: "switch", role: "group", "aria-label": "language" }, ...buttons),
      copy,
      insert,
      note
    )
  );
}

/**
 * Insert a cell below the one that shows the board.
 * @param {import("../base/common.js").Model} model
 * @param {string} source
 * @returns {boolean} false where the front end does not let a widget reach its notebook
 */
export function insertCell(model, source) {
  const notebook = model.widget_manager?.context?.model?.sharedModel;
  if (typeof notebook?.insertCell !== "function") return false;
  const { id } = model.get("_me");
  const showsBoard = (cell) =>
    cell.cell_type === "code" && JSON.stringify(cell.toJSON().outputs ?? []).includes(id);
  const index = notebook.cells.findIndex(showsBoard);
  notebook.insertCell(index < 0 ? notebook.cells.length : index + 1, {
    cell_type: "code",
    source,
    metadata: { trusted: true }
  });
  return true;
}
