// Drawing: cards of nodes with a chip per role, frames of engines, and lines between those who know
// each other.

import { clamp, tag } from "../base/common.js";
import { carryNode, carryRole, edgeMenu, nodeMenu, roleMenu, select, toggle } from "./actions.js";
import { draggable } from "./drag.js";
import { inspect } from "./inspector.js";

const LABELS = 28; // lines up to which each says what relationship it is

const FAR = 0.45; // how small names are not read any more: nodes are dots then
const HUES = 6; // colours of roles; those that are on no node are grey

export function hueOf(board, role) {
  return `var(--hue-${role in board.state.hues ? board.state.hues[role] % HUES : "none"})`;
}

export function drawCards(board) {
  const { state, plane, cards } = board;
  const there = new Set(state.nodes.map((node) => node.name));
  const focused = board.shadow.activeElement;
  for (const [name, card] of cards)
    if (!there.has(name)) {
      card.element.remove();
      cards.delete(name);
      board.selected.delete(name);
    }
  for (const node of state.nodes) {
    const said = JSON.stringify([
      node.roles,
      node.lost,
      state.many,
      state.by,
      state.hosts.length,
      node.host,
      node.roles.map((role) => state.hues[role.name])
    ]);
    let card = cards.get(node.name);
    if (!card) {
      card = { element: makeCard(board, node.name), said: "" };
      cards.set(node.name, card);
      plane.append(card.element);
    }
    card.node = node;
    Object.assign(card.element.style, {
      left: `${node.x}px`,
      top: `${node.y}px`,
      width: `${node.w}px`,
      height: `${node.h}px`
    });
    if (card.said !== said) {
      card.said = said;
      fillCard(board, card);
    }
  }
  if (![...cards.values()].some(({ element }) => element.tabIndex === 0)) {
    const first = cards.get(state.nodes[0]?.name);
    if (first) first.element.tabIndex = 0;
    if (first && focused?.matches(".card")) first.element.focus({ preventScroll: true });
  }
}

function makeCard(board, name) {
  const element = tag("div", {
    class: "card",
    role: "button",
    tabindex: -1,
    "data-node": name,
    "aria-roledescription": "node"
  });
  element.addEventListener("click", (event) => {
    const chip = event.target.closest(".chip");
    if (event.shiftKey || event.ctrlKey || event.metaKey) toggle(board, name);
    else if (chip) inspect(board, `${name}/${chip.dataset.role}`);
    else {
      select(board, [name]);
      inspect(board, name);
    }
    element.focus({ preventScroll: true });
  });
  element.addEventListener("contextmenu", (event) => {
    event.preventDefault();
    event.stopPropagation();
    const chip = event.target.closest(".chip");
    (chip ? roleMenu : nodeMenu)(board, chip ? `${name}/${chip.dataset.role}` : name, {
      x: event.clientX,
      y: event.clientY
    });
  });
  element.addEventListener("pointerenter", () => follow(board, name));
  element.addEventListener("pointerleave", () => follow(board, null));
  element.addEventListener("focus", () => {
    for (const { element: other } of board.cards.values()) other.tabIndex = -1;
    element.tabIndex = 0;
  });
  draggable(board, element, (event) =>
    (event.target.closest(".chip") ? carryRole : carryNode)(board, name, event)
  );
  return element;
}

export function makeChip(board, { name, cls = "", version = 0 }, status) {
  const said = version > 1 ? `v${version}` : "";
  const chip = tag(
    "div",
    {
      class: board.state.many ? "chip dot" : "chip",
      "data-role": name,
      "data-status": status,
      title: `${name}: ${cls} ${said}`
    },
    ...(board.state.many
      ? [name.slice(0, 1)]
      : [
          tag("span", { class: "name" }, name),
          tag("span", { class: "version" }, said),
          tag("span", { class: "doing" }, status === "ready" ? "" : `${status} …`),
          tag("span", { class: "mark", "aria-hidden": "true" })
        ])
  );
  chip.style.setProperty("--hue", hueOf(board, name));
  return chip;
}

function fillCard(board, { element, node }) {
  const { many } = board.state;
  element.classList.toggle("small", many);
  element.classList.toggle("lost", Boolean(node.lost));
  const chips = node.roles.map((role) => makeChip(board, role, "ready"));
  const place =
    board.state.by === "engine"
      ? ""
      : (board.state.hosts.find((host) => host.id === node.host)?.label ?? "");
  element.replaceChildren(
    tag(
      "div",
      { class: "head" },
      tag("span", { class: "name", title: node.name }, node.name),
      many
        ? null
        : tag(
            "span",
            { class: "place" },
            node.lost ? "lost" : board.state.hosts.length > 1 ? place : ""
          )
    ),
    tag("div", { class: "chips" }, ...chips)
  );
  if (!many && !chips.length) element.append(tag("div", { class: "empty" }, "drop a role here"));
  element.title = node.lost ? `${node.name} is lost: ${node.lost}` : "";
  const roles = node.roles.map((role) => role.name).join(", ");
  element.setAttribute(
    "aria-label",
    [`node ${node.name}`, node.lost && `lost: ${node.lost}`, roles ? `roles ${roles}` : "no roles"]
      .filter(Boolean)
      .join(", ")
  );
}

export function drawFrames(board) {
  for (const frame of board.plane.querySelectorAll(".frame")) frame.remove();
  board.plane.prepend(
    ...board.state.groups.map((group) => {
      const host = board.state.hosts.find(({ id }) => id === group.host);
      const frame = tag(
        "div",
        { class: host.lost ? "frame lost" : "frame", "data-host": group.host, title: host.lost },
        tag("span", {}, host.label, host.lost ? ` is lost: ${host.lost}` : "")
      );
      Object.assign(frame.style, {
        left: `${group.x}px`,
        top: `${group.y}px`,
        width: `${group.w}px`,
        height: `${group.h}px`
      });
      return frame;
    })
  );
}

// Lines: one between two nodes, whatever they know of each other, with a head where it is known.
export function drawEdges(board) {
  board.pairs = board.state.pairs;
  const labelled = board.pairs.length <= LABELS;
  board.edges.replaceChildren(
    ARROW.cloneNode(true),
    ...board.pairs.map((pair) => {
      const names = [...new Set(pair.known.map(([, relationship]) => relationship))].join(", ");
      pair.path = tag("svg:path", {
        class: "edge",
        "marker-end": "url(#head)",
        "marker-start": pair.both ? "url(#head)" : null
      });
      pair.reach = tag(
        "svg:path",
        {
          class: "reach",
          onclick: (event) => edgeMenu(board, pair, { x: event.clientX, y: event.clientY })
        },
        tag("svg:title", {}, `${pair.source} ${pair.both ? "↔" : "→"} ${pair.target}: ${names}`)
      );
      pair.label = labelled ? tag("svg:text", { class: "label" }, names) : null;
      pair.group = tag("svg:g", {}, pair.path, pair.reach, pair.label);
      return pair.group;
    })
  );
  layEdges(board);
}

const ARROW = tag(
  "svg:defs",
  {},
  tag(
    "svg:marker",
    {
      id: "head",
      viewBox: "0 0 8 8",
      refX: 7,
      refY: 4,
      markerWidth: 7,
      markerHeight: 7,
      orient: "auto-start-reverse"
    },
    tag("svg:path", { d: "M0 0L8 4L0 8z", class: "head" })
  )
);

export function layEdges(board, only = null) {
  const far = board.plane.classList.contains("far");
  for (const pair of board.pairs ?? []) {
    if (only && pair.source !== only && pair.target !== only) continue;
    const [a, b] = [board.cards.get(pair.source).node, board.cards.get(pair.target).node];
    const bend = board.state.by === "engine" ? 0.12 : 0;
    const [x1, y1] = [a.x + a.w / 2, a.y + a.h / 2];
    const [x2, y2] = [b.x + b.w / 2, b.y + b.h / 2];
    const [cx, cy] = [(x1 + x2) / 2 - (y2 - y1) * bend, (y1 + y2) / 2 + (x2 - x1) * bend];
    const seen = ({ x, y, w, h }) =>
      far ? { x: x + w / 2 - 14, y: y + h / 2 - 14, w: 28, h: 28 } : { x, y, w, h };
    const [sx, sy] = border(seen(a), cx, cy);
    const [ex, ey] = border(seen(b), cx, cy);
    const [start, control, end] = [
      [sx, sy],
      [cx, cy],
      [ex, ey]
    ].map((point) => point.map((number) => number.toFixed(1)).join(" "));
    const d = `M${start}Q${control} ${end}`;
    pair.path.setAttribute("d", d);
    pair.reach.setAttribute("d", d);
    if (pair.label) {
      pair.label.setAttribute("x", (sx + 2 * cx + ex) / 4);
      pair.label.setAttribute("y", (sy + 2 * cy + ey) / 4);
    }
  }
}

// Where the line from the middle of a box to a point leaves the box.
function border({ x, y, w, h }, px, py) {
  const [mx, my] = [x + w / 2, y + h / 2];
  const [dx, dy] = [px - mx, py - my];
  const share = Math.min(
    dx ? (w / 2 + 2) / Math.abs(dx) : Infinity,
    dy ? (h / 2 + 2) / Math.abs(dy) : Infinity
  );
  return Number.isFinite(share) ? [mx + dx * share, my + dy * share] : [mx, my];
}

// Light up who a node knows, and who knows it; the others fade.
function follow(board, name) {
  if (board.root.classList.contains("dragging")) return;
  board.root.classList.toggle(
    "following",
    Boolean(name) && board.pairs.some((pair) => pair.source === name || pair.target === name)
  );
  for (const pair of board.pairs ?? [])
    pair.group.classList.toggle("near", pair.source === name || pair.target === name);
}

// How large the drawing is, and how large it is shown.
export function zoom(board, scale) {
  const boxes = [...board.state.nodes, ...board.state.groups];
  const left = Math.min(0, ...boxes.map((box) => box.x)) - 20;
  const top = Math.min(0, ...boxes.map((box) => box.y)) - 20;
  const wide = Math.max(100, ...boxes.map((box) => box.x + box.w)) + 20 - left;
  const tall = Math.max(60, ...boxes.map((box) => box.y + box.h)) + 20 - top;
  const { clientWidth, clientHeight } = board.stage;
  const fit = Math.min(1, clientWidth / wide, clientHeight / tall);
  board.fitted = scale === undefined ? board.fitted : scale === "fit";
  board.scale = board.fitted ? Math.max(0.1, fit) : clamp(scale ?? board.scale, 0.1, 2);
  const [w, h] = [wide * board.scale, tall * board.scale];
  const [gapX, gapY] = [Math.max(0, (clientWidth - w) / 2), Math.max(0, (clientHeight - h) / 2)];
  board.origin = { x: gapX - left * board.scale, y: gapY - top * board.scale };
  const { x, y } = board.origin;
  board.plane.style.transform = `translate(${x}px, ${y}px) scale(${board.scale})`;
  Object.assign(board.sheet.style, {
    width: `${Math.max(clientWidth, w)}px`,
    height: `${Math.max(clientHeight, h)}px`
  });
  const far = board.state.many && board.scale < FAR;
  if (far !== board.plane.classList.contains("far")) {
    board.plane.classList.toggle("far", far);
    layEdges(board);
  }
  board.percent.textContent = `${Math.round(board.scale * 100)} %`;
}
