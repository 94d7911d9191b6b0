// The board: a palette, nodes with their roles, who knows whom, and what was done as code.

import { openView, tag } from "../base/common.js";
import {
  assignForm,
  carryEntry,
  gestureForm,
  meant,
  nodeMenu,
  select,
  toggle,
  tryTo,
  undo
} from "./actions.js";
import { drawCards, drawEdges, drawFrames, hueOf, zoom } from "./cards.js";
import { draggable } from "./drag.js";
import { drawLive, fill, showNote } from "./inspector.js";
import { below, roam, showFault } from "./popups.js";
import { makeStrip } from "./strip.js";

export default () => ({
  render({ model, el }) {
    el.setAttribute("data-lm-suppress-shortcuts", "true"); // JupyterLab's keys are not ours
    const view = openView({ model, el }, "board");
    const board = {
      ...view,
      model,
      state: model.get("_drawn"),
      palette: model.get("_palette"),
      history: model.get("_history"),
      live: model.get("_live") ?? {},
      shown: null,
      cards: new Map(),
      selected: new Set(),
      scale: 1,
      fitted: true,
      pairs: []
    };
    build(board);
    view.root.addEventListener("keydown", (event) => {
      pressed(board, event);
      event.stopPropagation();
    });
    view.onTrait("_palette", (palette) => {
      board.palette = palette;
      drawPalette(board);
    });
    view.onTrait("_history", (history) => {
      board.history = history;
      drawHistory(board);
    });
    view.onTrait("_drawn", (state) => {
      board.state = state;
      draw(board);
    });
    view.onTrait("_live", (live) => {
      board.live = live;
      drawLive(board);
    });
    view.onMessage("called", ({ line: said, outcome, text }) =>
      showNote(board, `${said}\n${text}`, outcome === "error")
    );
    const resized = new ResizeObserver(() => zoom(board));
    resized.observe(board.stage);
    view.root.dataset.ready = "1";
    return () => {
      resized.disconnect();
      clearInterval(board.looking);
      view.close();
    };
  }
});

function build(board) {
  const button = (text, title, act, attributes = {}) =>
    tag("button", { title, onclick: act, ...attributes }, text);
  board.undoButton = button("↶ Undo", "undo (Ctrl Z)", () => undo(board, "undo"));
  board.redoButton = button("↷ Redo", "do it again (Ctrl Y)", () => undo(board, "redo"));
  board.ways = [
    ["engine", "Engines"],
    ["relationship", "Relationships"]
  ].map(([by, text]) =>
    button(
      text,
      `draw nodes by ${by}`,
      () => board.request("draw", { by }).catch((error) => showFault(board, error.message)),
      { "data-by": by }
    )
  );
  board.percent = button("", "show all", () => zoom(board, "fit"));
  board.status = tag("span", { class: "status" });
  board.bar = tag(
    "div",
    { class: "bar", role: "toolbar", "aria-label": "board" },
    button("+ Nodes", "make nodes (N)", (event) => gestureForm(board, "spawn", {}, below(event)), {
      class: "spawn"
    }),
    board.undoButton,
    board.redoButton,
    tag("div", { class: "switch", role: "group", "aria-label": "draw by" }, ...board.ways),
    button(
      "Tidy",
      "place all nodes anew",
      () => board.request("tidy").catch((error) => showFault(board, error.message)),
      { class: "tidy" }
    ),
    tag(
      "div",
      { class: "switch" },
      button("−", "smaller", () => zoom(board, board.scale / 1.25)),
      board.percent,
      button("+", "larger", () => zoom(board, board.scale * 1.25))
    ),
    board.status
  );

  board.search = tag("input", {
    type: "search",
    placeholder: "search roles",
    "aria-label": "search roles",
    spellcheck: "false"
  });
  board.search.addEventListener("input", () => drawPalette(board));
  board.list = tag("div", { class: "list", role: "listbox", "aria-label": "role classes" });
  roam(board.list, ".entry");
  board.search.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") {
      event.preventDefault();
      board.list.querySelector(".entry")?.focus();
    }
  });

  board.edges = tag("svg:svg", { class: "edges", "aria-hidden": "true" });
  board.plane = tag("div", { class: "plane", role: "group", "aria-label": "nodes" }, board.edges);
  board.sheet = tag("div", { class: "sheet" }, board.plane);
  board.bin = tag(
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
  board.stage = tag("div", { class: "stage" }, board.sheet);
  board.hint = tag("div", { class: "hint empty-board" });
  board.fault = tag("div", { class: "fault", role: "alert", hidden: true });
  board.inspector = tag("aside", { class: "inspector", hidden: true, "aria-label": "inspector" });
  lasso(board);
  wheel(board);
  board.root.append(
    board.bar,
    tag(
      "div",
      { class: "middle" },
      tag("aside", { class: "palette" }, board.search, board.list),
      tag("div", { class: "scene" }, board.stage, board.hint, board.bin, board.fault),
      board.inspector
    ),
    makeStrip(board)
  );
}

export function draw(board) {
  const { state } = board;
  drawFrames(board);
  drawCards(board);
  drawEdges(board);
  zoom(board);
  select(
    board,
    [...board.selected].filter((name) => board.cards.has(name))
  );
  for (const way of board.ways)
    way.setAttribute("aria-pressed", String(way.dataset.by === state.by));
  board.hint.textContent = state.nodes.length
    ? ""
    : "No nodes yet: begin with “+ Nodes”, or %rml spawn.";
  board.root.classList.toggle("stopped", state.stopped);
  for (const entry of board.list.children)
    entry.style?.setProperty("--hue", hueOf(board, entry.dataset.name));
  drawLive(board);
  fill(board);
}

function drawHistory(board) {
  board.undoButton.disabled = !board.history.done.length;
  board.redoButton.disabled = !board.history.undone;
  board.undoButton.title = ["undo (Ctrl Z)", board.history.note].filter(Boolean).join("\n");
  board.drawStrip();
}

function drawPalette(board) {
  const sought = board.search.value.trim().toLowerCase();
  const focused = board.shadow.activeElement?.dataset?.cls;
  const found = board.palette.filter((entry) =>
    `${entry.cls}\n${entry.says}`.toLowerCase().includes(sought)
  );
  const part = (title, entries) =>
    entries.length
      ? [
          tag("div", { class: "part", role: "presentation" }, title),
          ...entries.map((entry) => makeEntry(board, entry))
        ]
      : [];
  board.list.replaceChildren(
    ...part(
      "This notebook",
      found.filter((entry) => !entry.library)
    ),
    ...part(
      "Library",
      found.filter((entry) => entry.library)
    ),
    ...(found.length ? [] : [tag("div", { class: "part" }, `no role class with “${sought}”`)])
  );
  const first = board.list.querySelector(".entry");
  if (first) first.tabIndex = 0;
  if (focused) board.list.querySelector(`[data-cls="${CSS.escape(focused)}"]`)?.focus();
}

function makeEntry(board, entry) {
  const version = !entry.library && entry.version > 1 ? `v${entry.version}` : "";
  const told = version ? `, version ${entry.version}` : "";
  const element = tag(
    "div",
    {
      class: "entry",
      role: "option",
      tabindex: -1,
      "data-cls": entry.cls,
      "data-name": entry.name,
      title: entry.says,
      "aria-label": `${entry.cls}${told}; Enter puts it on nodes`
    },
    tag("span", { class: "name" }, entry.cls),
    tag("span", { class: "version" }, version)
  );
  element.style.setProperty("--hue", hueOf(board, entry.name));
  const put = () => {
    const box = element.getBoundingClientRect();
    assignForm(board, entry, [...board.selected], { x: box.right + 6, y: box.top });
  };
  element.addEventListener("dblclick", put);
  element.addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      event.preventDefault();
      put();
    }
  });
  element.addEventListener("focus", () => {
    for (const other of board.list.querySelectorAll(".entry")) other.tabIndex = -1;
    element.tabIndex = 0;
  });
  draggable(board, element, () => carryEntry(board, entry));
  return element;
}

// Turn the wheel with Ctrl held: larger or smaller about the pointer.
function wheel(board) {
  board.stage.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      const box = board.stage.getBoundingClientRect();
      const [x, y] = [event.clientX - box.left, event.clientY - box.top];
      const at = [
        (board.stage.scrollLeft + x - board.origin.x) / board.scale,
        (board.stage.scrollTop + y - board.origin.y) / board.scale
      ];
      zoom(board, board.scale * Math.exp(-event.deltaY / 400));
      board.stage.scrollLeft = at[0] * board.scale + board.origin.x - x;
      board.stage.scrollTop = at[1] * board.scale + board.origin.y - y;
    },
    { passive: false }
  );
}

// Press on the ground and draw a frame around nodes to select them.
function lasso(board) {
  board.stage.addEventListener("pointerdown", (press) => {
    if (press.button !== 0 || press.target.closest(".card, .reach")) return;
    const added = press.shiftKey ? [...board.selected] : [];
    const frame = tag("div", { class: "lasso" });
    const ground = board.stage.getBoundingClientRect();
    if (
      press.clientX - ground.left > board.stage.clientWidth ||
      press.clientY - ground.top > board.stage.clientHeight
    )
      return; // a scroll bar
    const ending = new AbortController();
    const at = (event) => [
      event.clientX - ground.left + board.stage.scrollLeft,
      event.clientY - ground.top + board.stage.scrollTop
    ];
    const [x, y] = at(press);
    board.sheet.append(frame);
    const move = (event) => {
      const [u, v] = at(event);
      Object.assign(frame.style, {
        left: `${Math.min(x, u)}px`,
        top: `${Math.min(y, v)}px`,
        width: `${Math.abs(u - x)}px`,
        height: `${Math.abs(v - y)}px`
      });
    };
    const end = (event) => {
      const box = frame.getBoundingClientRect();
      frame.remove();
      ending.abort();
      if (event.type !== "pointerup") return;
      const caught = [...board.cards]
        .filter(([, { element }]) => {
          const card = element.getBoundingClientRect();
          return (
            card.left < box.right &&
            card.right > box.left &&
            card.top < box.bottom &&
            card.bottom > box.top
          );
        })
        .map(([name]) => name);
      select(board, box.width + box.height > 6 ? [...added, ...caught] : added);
    };
    document.addEventListener("pointermove", move, { signal: ending.signal });
    document.addEventListener("pointerup", end, { signal: ending.signal });
    document.addEventListener("pointercancel", end, { signal: ending.signal });
  });
}

// keys

function pressed(board, event) {
  const typing = event.target.closest("input, textarea, select");
  const within = event.target.closest(".popup");
  const control = event.ctrlKey || event.metaKey;
  if (within) return;
  if (control && event.key.toLowerCase() === "z" && !typing) {
    event.preventDefault();
    undo(board, event.shiftKey ? "redo" : "undo");
    return;
  }
  if (control && event.key.toLowerCase() === "y" && !typing) {
    event.preventDefault();
    undo(board, "redo");
    return;
  }
  if (typing) return;
  if (event.key.toLowerCase() === "n" && !control) {
    event.preventDefault();
    board.bar.querySelector(".spawn").click();
    return;
  }
  const card = event.target.closest(".card");
  if (!card) return;
  const name = card.dataset.node;
  const box = card.getBoundingClientRect();
  const at = { x: box.left + 12, y: Math.min(box.bottom, innerHeight - 40) };
  const act = {
    Enter: () => nodeMenu(board, name, at),
    " ": () => toggle(board, name),
    Delete: () => tryTo(board, "remove", { nodes: meant(board, name) }),
    Escape: () => select(board, []),
    ...(control
      ? {
          a: () => {
            select(
              board,
              board.state.nodes.map((node) => node.name)
            );
            board.announce("all selected");
          }
        }
      : {}),
    ...Object.fromEntries(
      ["Left", "Right", "Up", "Down"].map((way) => [`Arrow${way}`, () => step(board, name, way)])
    )
  }[event.key];
  if (act) {
    event.preventDefault();
    act();
  }
}

// Go to the nearest node in a direction.
export function step(board, name, way) {
  const middle = ({ x, y, w, h }) => [x + w / 2, y + h / 2];
  const [x, y] = middle(board.cards.get(name).node);
  const [ux, uy] = { Left: [-1, 0], Right: [1, 0], Up: [0, -1], Down: [0, 1] }[way];
  let best = null;
  for (const { node, element } of board.cards.values()) {
    const [dx, dy] = [middle(node)[0] - x, middle(node)[1] - y];
    const along = dx * ux + dy * uy;
    const aside = Math.abs(dx * uy) + Math.abs(dy * ux);
    if (node.name !== name && along > 1 && (!best || along + 2.5 * aside < best.far))
      best = { far: along + 2.5 * aside, element };
  }
  best?.element.focus();
}
