// The board: a palette, nodes with their roles, who knows whom, and what was done as code.

import { openView, tag } from "../base/common.js";
import {
  affectedNodes,
  openCommandForm,
  openNodeMenu,
  runCommand,
  selectNodes,
  toggleNode,
  undoOrRedo
} from "./actions.js";
import { drawCards, drawFrames, updateZoom } from "./cards.js";
import { selectByFrame } from "./drag.js";
import { drawEdges, middleOf } from "./edges.js";
import { refreshInspector, showMessage, updateLive } from "./inspector.js";
import { makePalette, updateHues, updatePalette } from "./palette.js";
import { pointBelow, showError } from "./popups.js";
import { makeCodeStrip } from "./strip.js";

/**
 * A node as the kernel draws it; x, y, w and h are in pixels of the plane.
 * @typedef {object} BoardNode
 * @property {string} name
 * @property {string} host
 * @property {string} lost why its host is lost; "" while it is there
 * @property {number} x
 * @property {number} y
 * @property {number} w
 * @property {number} h
 * @property {{name: string, cls: string, version: number}[]} roles
 */

/**
 * The deployment as the kernel draws it.
 * @typedef {object} BoardState
 * @property {"engine" | "relationship"} by
 * @property {boolean} many true if roles are drawn as dots
 * @property {BoardNode[]} nodes
 * @property {({host: string} & import("./edges.js").Box)[]} groups frames of engines
 * @property {{id: string, label: string, lost: string}[]} hosts
 * @property {any[]} pairs nodes that know each other
 * @property {string} says how much there is
 * @property {any[]} needs
 * @property {Record<string, number>} hues by role
 * @property {boolean} stopped
 */

/**
 * What is done and undone, as the kernel says it.
 * @typedef {object} BoardHistory
 * @property {{lines: string[], python: string[]}[]} done
 * @property {number} undone
 * @property {string} note what an undo would lose
 */

/**
 * The state of an open board, and its elements.
 * @typedef {object} BoardParts
 * @property {import("../base/common.js").Model} model
 * @property {BoardState} state
 * @property {import("./palette.js").Entry[]} palette
 * @property {BoardHistory} history
 * @property {any} live roles that are not ready, waiting calls, errors
 * @property {import("./inspector.js").Subject | null} subject that the inspector shows
 * @property {string} [inspectedKey] the page of the inspector, to see whether it changes
 * @property {ReturnType<typeof setInterval>} [refreshTimer] of the inspector
 * @property {Map<string, import("./cards.js").Card>} cards by node
 * @property {Set<string>} selected nodes
 * @property {any[]} pairs nodes that know each other, with their elements
 * @property {number} scale
 * @property {boolean} fitsStage true if the scale follows the size of the stage
 * @property {{x: number, y: number}} origin of the plane in the sheet
 * @property {() => void} updateCodeStrip
 * @property {HTMLButtonElement} undoButton
 * @property {HTMLButtonElement} redoButton
 * @property {HTMLButtonElement[]} groupingButtons
 * @property {HTMLButtonElement} zoomButton
 * @property {HTMLElement} status
 * @property {HTMLElement} bar
 * @property {HTMLInputElement} searchInput
 * @property {HTMLElement} entryList
 * @property {SVGElement} edges
 * @property {HTMLElement} plane holds cards and frames, and is scaled
 * @property {HTMLElement} sheet holds the plane, as large as it is shown
 * @property {HTMLElement} stage shows a part of the sheet
 * @property {HTMLElement} bin
 * @property {HTMLElement} hint
 * @property {HTMLElement} banner shows the last error or message
 * @property {HTMLElement} inspector
 *
 * @typedef {import("../base/common.js").View & BoardParts} Board
 */

const DIRECTIONS = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1]
};
const ASIDE_WEIGHT = 2.5; // how much farther a node counts that is not straight ahead
const ZOOM_STEP = 1.25;
const WHEEL_PER_ZOOM = 400;

export default () => ({
  render({ model, el }) {
    el.setAttribute("data-lm-suppress-shortcuts", "true"); // JupyterLab's keys are not ours
    const view = openView({ model, el }, "board");
    const board = /** @type {Board} */ ({
      ...view,
      model,
      state: model.get("_drawn"),
      palette: model.get("_palette"),
      history: model.get("_history"),
      live: model.get("_live") ?? {},
      subject: null,
      cards: new Map(),
      selected: new Set(),
      scale: 1,
      fitsStage: true,
      pairs: []
    });
    buildBoard(board);
    view.root.addEventListener("keydown", (event) => {
      handleKey(board, event);
      event.stopPropagation();
    });
    view.onTrait("_palette", (palette) => {
      board.palette = palette;
      updatePalette(board);
    });
    view.onTrait("_history", (history) => {
      board.history = history;
      updateHistory(board);
    });
    view.onTrait("_drawn", (state) => {
      board.state = state;
      updateBoard(board);
    });
    view.onTrait("_live", (live) => {
      board.live = live;
      updateLive(board);
    });
    view.onMessage("called", ({ line, outcome, text }) =>
      showMessage(board, `${line}\n${text}`, outcome === "error")
    );
    const observer = new ResizeObserver(() => updateZoom(board));
    observer.observe(board.stage);
    view.root.dataset.ready = "1";
    return () => {
      observer.disconnect();
      clearInterval(board.refreshTimer);
      view.close();
    };
  }
});

function buildBoard(board) {
  board.bar = makeToolbar(board);
  board.edges = tag("svg:svg", { class: "edges", "aria-hidden": "true" });
  board.plane = tag("div", { class: "plane", role: "group", "aria-label": "nodes" }, board.edges);
  board.sheet = tag("div", { class: "sheet" }, board.plane);
  board.bin = makeBin();
  board.stage = tag("div", { class: "stage" }, board.sheet);
  board.hint = tag("div", { class: "hint empty-board" });
  board.banner = tag("div", { class: "fault", role: "alert", hidden: true });
  board.inspector = tag("aside", { class: "inspector", hidden: true, "aria-label": "inspector" });
  selectByFrame(board);
  zoomByWheel(board);
  board.root.append(
    board.bar,
    tag(
      "div",
      { class: "middle" },
      makePalette(board),
      tag("div", { class: "scene" }, board.stage, board.hint, board.bin, board.banner),
      board.inspector
    ),
    makeCodeStrip(board)
  );
}

function makeToolbar(board) {
  const button = (text, title, onclick, attributes = {}) =>
    tag("button", { title, onclick, ...attributes }, text);
  const request = (kind, content) =>
    board.request(kind, content).catch((error) => showError(board, error.message));
  const groupingButton = (by, text) =>
    button(text, `draw nodes by ${by}`, () => request("draw", { by }), { "data-by": by });
  const spawn = (event) => openCommandForm(board, "spawn", {}, pointBelow(event));
  board.undoButton = button("↶ Undo", "undo (Ctrl Z)", () => undoOrRedo(board, "undo"));
  board.redoButton = button("↷ Redo", "do it again (Ctrl Y)", () => undoOrRedo(board, "redo"));
  board.groupingButtons = [
    groupingButton("engine", "Engines"),
    groupingButton("relationship", "Relationships")
  ];
  board.zoomButton = button("", "show all", () => updateZoom(board, "fit"));
  board.status = tag("span", { class: "status" });
  return tag(
    "div",
    { class: "bar", role: "toolbar", "aria-label": "board" },
    button("+ Nodes", "make nodes (N)", spawn, { class: "spawn" }),
    board.undoButton,
    board.redoButton,
    tag(
      "div",
      { class: "switch", role: "group", "aria-label": "draw by" },
      ...board.groupingButtons
    ),
    button("Tidy", "place all nodes anew", () => request("tidy"), { class: "tidy" }),
    tag(
      "div",
      { class: "switch" },
      button("−", "smaller", () => updateZoom(board, board.scale / ZOOM_STEP)),
      board.zoomButton,
      button("+", "larger", () => updateZoom(board, board.scale * ZOOM_STEP))
    ),
    board.status
  );
}

function makeBin() {
  return tag(
    "div",
    { class: "bin", title: "drop a role or a node here to end it" },
    tag(
      "svg:svg",
      { viewBox: "0 0 20 20", "aria-hidden": "true" },
      tag("svg:path", {
        d: "M3.5 5.5h13M8 5.5V3.5h4v2M5.5 5.5l.8 11h7.4l.8-11M8.3 8.5v5M11.7 8.5v5"
      })
    )
  );
}

function updateBoard(board) {
  const { state } = board;
  drawFrames(board);
  drawCards(board);
  drawEdges(board);
  updateZoom(board);
  selectNodes(
    board,
    [...board.selected].filter((name) => board.cards.has(name))
  );
  for (const button of board.groupingButtons)
    button.setAttribute("aria-pressed", String(button.dataset.by === state.by));
  board.hint.textContent = state.nodes.length
    ? ""
    : "No nodes yet: begin with “+ Nodes”, or %rml spawn.";
  board.root.classList.toggle("stopped", state.stopped);
  updateHues(board);
  updateLive(board);
  refreshInspector(board);
}

function updateHistory(board) {
  const { done, undone, note } = board.history;
  board.undoButton.disabled = !done.length;
  board.redoButton.disabled = !undone;
  board.undoButton.title = ["undo (Ctrl Z)", note].filter(Boolean).join("\n");
  board.updateCodeStrip();
}

// Zoom about the pointer while the wheel turns with Ctrl held.
function zoomByWheel(board) {
  const { stage } = board;
  const handleWheel = (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    const box = stage.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const planeX = (stage.scrollLeft + x - board.origin.x) / board.scale;
    const planeY = (stage.scrollTop + y - board.origin.y) / board.scale;
    updateZoom(board, board.scale * Math.exp(-event.deltaY / WHEEL_PER_ZOOM));
    stage.scrollLeft = planeX * board.scale + board.origin.x - x;
    stage.scrollTop = planeY * board.scale + board.origin.y - y;
  };
  stage.addEventListener("wheel", handleWheel, { passive: false });
}

function handleKey(board, event) {
  const typing = event.target.closest("input, textarea, select");
  const control = event.ctrlKey || event.metaKey;
  const key = event.key.toLowerCase();
  if (event.target.closest(".popup")) return;
  if (control && (key === "z" || key === "y") && !typing) {
    event.preventDefault();
    undoOrRedo(board, key === "y" || event.shiftKey ? "redo" : "undo");
    return;
  }
  if (typing) return;
  if (key === "n" && !control) {
    event.preventDefault();
    board.bar.querySelector(".spawn").click();
    return;
  }
  const card = event.target.closest(".card");
  if (card) handleCardKey(board, card, event, control);
}

function handleCardKey(board, card, event, control) {
  const name = card.dataset.node;
  const box = card.getBoundingClientRect();
  const point = { x: box.left + 12, y: Math.min(box.bottom, innerHeight - 40) };
  const actions = {
    Enter: () => openNodeMenu(board, name, point),
    " ": () => toggleNode(board, name),
    Delete: () => runCommand(board, "remove", { nodes: affectedNodes(board, name) }),
    Escape: () => selectNodes(board, [])
  };
  if (control)
    actions.a = () => {
      selectNodes(
        board,
        board.state.nodes.map((node) => node.name)
      );
      board.announce("all selected");
    };
  for (const key of Object.keys(DIRECTIONS)) actions[key] = () => focusNeighbour(board, name, key);
  const action = actions[event.key];
  if (action) {
    event.preventDefault();
    action();
  }
}

function focusNeighbour(board, name, key) {
  const { node } = board.cards.get(name);
  const nearest = findNeighbour(board.state.nodes, node, key);
  if (nearest) board.cards.get(nearest.name).element.focus();
}

/**
 * Return the nearest node in the direction of an arrow key, null for none.
 * @param {BoardNode[]} nodes
 * @param {BoardNode} from
 * @param {string} key
 * @returns {BoardNode | null}
 */
export function findNeighbour(nodes, from, key) {
  const [x, y] = middleOf(from);
  const [ux, uy] = DIRECTIONS[key];
  let found = null;
  let nearest = Infinity;
  for (const node of nodes) {
    const [nx, ny] = middleOf(node);
    const [dx, dy] = [nx - x, ny - y];
    const ahead = dx * ux + dy * uy;
    const aside = Math.abs(dx * uy) + Math.abs(dy * ux);
    const distance = ahead + ASIDE_WEIGHT * aside;
    if (node.name !== from.name && ahead > 1 && distance < nearest) {
      nearest = distance;
      found = node;
    }
  }
  return found;
}
