// The palette: the role classes of the notebook and of the library, which are dragged onto nodes.

import { tag } from "../base/common.js";
import { dragEntry, openAssignForm } from "./actions.js";
import { roleHue } from "./cards.js";
import { makeDraggable } from "./drag.js";
import { enableArrowKeys } from "./popups.js";

/**
 * A role class of the palette.
 * @typedef {object} Entry
 * @property {string} cls
 * @property {string} name that a role of it gets
 * @property {string} says its description
 * @property {boolean} library true if it comes with the library
 * @property {number} version
 */

/**
 * Make the palette: the search field and the list of classes. `updatePalette` fills it.
 * @param {import("./board.js").Board} board
 * @returns {HTMLElement}
 */
export function makePalette(board) {
  board.searchInput = tag("input", {
    type: "search",
    placeholder: "search roles",
    "aria-label": "search roles",
    spellcheck: "false"
  });
  board.searchInput.addEventListener("input", () => updatePalette(board));
  board.entryList = tag("div", { class: "list", role: "listbox", "aria-label": "role classes" });
  enableArrowKeys(board.entryList, ".entry");
  board.searchInput.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") {
      event.preventDefault();
      firstEntry(board)?.focus();
    }
  });
  return tag("aside", { class: "palette" }, board.searchInput, board.entryList);
}

/**
 * @param {import("./board.js").Board} board
 * @returns {HTMLElement | null}
 */
function firstEntry(board) {
  return board.entryList.querySelector(".entry");
}

/**
 * Show the classes that match the search; the focus stays on its class.
 * @param {import("./board.js").Board} board
 */
export function updatePalette(board) {
  const query = board.searchInput.value.trim().toLowerCase();
  const focused = /** @type {HTMLElement | null} */ (board.shadow.activeElement)?.dataset?.cls;
  const matches = board.palette.filter(({ cls, says }) =>
    `${cls}\n${says}`.toLowerCase().includes(query)
  );
  board.entryList.replaceChildren(
    ...makeSection(
      board,
      "This notebook",
      matches.filter(({ library }) => !library)
    ),
    ...makeSection(
      board,
      "Library",
      matches.filter(({ library }) => library)
    )
  );
  if (!matches.length)
    board.entryList.append(tag("div", { class: "part" }, `no role class with “${query}”`));
  const first = firstEntry(board);
  if (first) first.tabIndex = 0;
  if (focused) {
    const selector = `[data-cls="${CSS.escape(focused)}"]`;
    /** @type {HTMLElement | null} */ (board.entryList.querySelector(selector))?.focus();
  }
}

/**
 * Show each class in the colour of its role.
 * @param {import("./board.js").Board} board
 */
export function updateHues(board) {
  for (const element of /** @type {NodeListOf<HTMLElement>} */ (
    board.entryList.querySelectorAll(".entry")
  ))
    element.style.setProperty("--hue", roleHue(board, element.dataset.name));
}

function makeSection(board, title, entries) {
  if (!entries.length) return [];
  const heading = tag("div", { class: "part", role: "presentation" }, title);
  return [heading, ...entries.map((entry) => makeEntry(board, entry))];
}

function makeEntry(board, entry) {
  const version = !entry.library && entry.version > 1 ? entry.version : null;
  const versionText = version ? `, version ${version}` : "";
  const element = tag(
    "div",
    {
      class: "entry",
      role: "option",
      tabindex: -1,
      "data-cls": entry.cls,
      "data-name": entry.name,
      title: entry.says,
      "aria-label": `${entry.cls}${versionText}; Enter puts it on nodes`
    },
    tag("span", { class: "name" }, entry.cls),
    tag("span", { class: "version" }, version ? `v${version}` : "")
  );
  element.style.setProperty("--hue", roleHue(board, entry.name));
  const openForm = () => {
    const box = element.getBoundingClientRect();
    openAssignForm(board, entry, [...board.selected], { x: box.right + 6, y: box.top });
  };
  element.addEventListener("dblclick", openForm);
  element.addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      event.preventDefault();
      openForm();
    }
  });
  element.addEventListener("focus", () => {
    for (const other of board.entryList.querySelectorAll(".entry")) other.tabIndex = -1;
    element.tabIndex = 0;
  });
  makeDraggable(board, element, () => dragEntry(board, entry));
  return element;
}
