// Cards of nodes with a chip per role, frames of engines, and the scale at which they are shown.

import { clamp, tag } from "../base/common.js";
import {
  dragNode,
  dragRole,
  openNodeMenu,
  openRoleMenu,
  selectNodes,
  toggleNode
} from "./actions.js";
import { makeDraggable } from "./drag.js";
import { highlightEdges, placeEdges } from "./edges.js";
import { inspect } from "./inspector.js";

const MIN_READABLE_SCALE = 0.45; // below it, nodes are dots
const MIN_SCALE = 0.1;
const MAX_SCALE = 2;
const HUE_COUNT = 6;
const PLANE_MARGIN_PX = 20;

/**
 * A node as it is drawn.
 * @typedef {object} Card
 * @property {HTMLElement} element
 * @property {import("./board.js").BoardNode} node
 * @property {string} contentKey what the element shows, to see whether it changes
 */

/**
 * Return the colour of a role; grey if it is on no node.
 * @param {import("./board.js").Board} board
 * @param {string} role
 * @returns {string}
 */
export function roleHue(board, role) {
  const { hues } = board.state;
  return `var(--hue-${role in hues ? hues[role] % HUE_COUNT : "none"})`;
}

/**
 * Draw a card per node: new ones are made, others updated, those of no node removed.
 * @param {import("./board.js").Board} board
 */
export function drawCards(board) {
  const { state, plane, cards } = board;
  const names = new Set(state.nodes.map((node) => node.name));
  const focused = board.shadow.activeElement;
  for (const [name, card] of cards)
    if (!names.has(name)) {
      card.element.remove();
      cards.delete(name);
      board.selected.delete(name);
    }
  for (const node of state.nodes) {
    let card = cards.get(node.name);
    if (!card) {
      card = { element: makeCard(board, node.name), node, contentKey: "" };
      cards.set(node.name, card);
      plane.append(card.element);
    }
    card.node = node;
    placeElement(card.element, node);
    const key = JSON.stringify([
      node.roles,
      node.lost,
      state.many,
      state.by,
      state.hosts.length,
      node.host,
      node.roles.map((role) => state.hues[role.name])
    ]);
    if (card.contentKey !== key) {
      card.contentKey = key;
      updateCard(board, card);
    }
  }
  if (![...cards.values()].some(({ element }) => element.tabIndex === 0)) {
    const first = cards.get(state.nodes[0]?.name);
    if (first) first.element.tabIndex = 0;
    if (first && focused?.matches(".card")) first.element.focus({ preventScroll: true });
  }
}

function placeElement(element, { x, y, w, h }) {
  Object.assign(element.style, {
    left: `${x}px`,
    top: `${y}px`,
    width: `${w}px`,
    height: `${h}px`
  });
}

function makeCard(board, name) {
  const element = tag("div", {
    class: "card",
    role: "button",
    tabindex: -1,
    "data-node": name,
    "aria-roledescription": "node"
  });
  const chipOf = (event) => event.target.closest(".chip");
  element.addEventListener("click", (event) => {
    const chip = chipOf(event);
    if (event.shiftKey || event.ctrlKey || event.metaKey) toggleNode(board, name);
    else if (chip) inspect(board, `${name}/${chip.dataset.role}`);
    else {
      selectNodes(board, [name]);
      inspect(board, name);
    }
    element.focus({ preventScroll: true });
  });
  element.addEventListener("contextmenu", (event) => {
    event.preventDefault();
    event.stopPropagation();
    const point = { x: event.clientX, y: event.clientY };
    const chip = chipOf(event);
    if (chip) openRoleMenu(board, `${name}/${chip.dataset.role}`, point);
    else openNodeMenu(board, name, point);
  });
  element.addEventListener("pointerenter", () => highlightEdges(board, name));
  element.addEventListener("pointerleave", () => highlightEdges(board, null));
  element.addEventListener("focus", () => {
    for (const { element: other } of board.cards.values()) other.tabIndex = -1;
    element.tabIndex = 0;
  });
  makeDraggable(board, element, (event) => {
    const chip = chipOf(event);
    return chip ? dragRole(board, name, chip) : dragNode(board, name);
  });
  return element;
}

/**
 * Make the chip of a role.
 * @param {import("./board.js").Board} board
 * @param {{name: string, cls?: string, version?: number}} role
 * @param {string} status
 * @returns {HTMLElement}
 */
export function makeChip(board, { name, cls = "", version = 0 }, status) {
  const versionText = version > 1 ? `v${version}` : "";
  const chip = tag("div", {
    class: board.state.many ? "chip dot" : "chip",
    "data-role": name,
    "data-status": status,
    title: `${name}: ${cls} ${versionText}`
  });
  if (board.state.many) chip.append(name.slice(0, 1));
  else
    chip.append(
      tag("span", { class: "name" }, name),
      tag("span", { class: "version" }, versionText),
      tag("span", { class: "doing" }, status === "ready" ? "" : `${status} …`),
      tag("span", { class: "mark", "aria-hidden": "true" })
    );
  chip.style.setProperty("--hue", roleHue(board, name));
  return chip;
}

function updateCard(board, { element, node }) {
  const { many } = board.state;
  element.classList.toggle("small", many);
  element.classList.toggle("lost", Boolean(node.lost));
  const chips = node.roles.map((role) => makeChip(board, role, "ready"));
  element.replaceChildren(
    tag(
      "div",
      { class: "head" },
      tag("span", { class: "name", title: node.name }, node.name),
      many ? null : tag("span", { class: "place" }, placeText(board.state, node))
    ),
    tag("div", { class: "chips" }, ...chips)
  );
  if (!many && !chips.length) element.append(tag("div", { class: "empty" }, "drop a role here"));
  element.title = node.lost ? `${node.name} is lost: ${node.lost}` : "";
  const roles = node.roles.map((role) => role.name).join(", ");
  const label = [
    `node ${node.name}`,
    node.lost && `lost: ${node.lost}`,
    roles ? `roles ${roles}` : "no roles"
  ];
  element.setAttribute("aria-label", label.filter(Boolean).join(", "));
}

// Return the label of a node's host where no frame shows it.
function placeText({ by, hosts }, node) {
  if (node.lost) return "lost";
  if (by === "engine" || hosts.length < 2) return "";
  return hosts.find((host) => host.id === node.host)?.label ?? "";
}

/**
 * Draw the frames of engines anew.
 * @param {import("./board.js").Board} board
 */
export function drawFrames(board) {
  for (const frame of board.plane.querySelectorAll(".frame")) frame.remove();
  board.plane.prepend(...board.state.groups.map((group) => makeFrame(board, group)));
}

function makeFrame(board, group) {
  const { label, lost } = board.state.hosts.find(({ id }) => id === group.host);
  const frame = tag(
    "div",
    { class: lost ? "frame lost" : "frame", "data-host": group.host, title: lost },
    tag("span", {}, label, lost ? ` is lost: ${lost}` : "")
  );
  placeElement(frame, group);
  return frame;
}

/**
 * Return the smallest box around boxes and the origin, with a margin.
 * @param {import("./edges.js").Box[]} boxes
 * @returns {{left: number, top: number, width: number, height: number}}
 */
export function boundsOf(boxes) {
  const left = Math.min(0, ...boxes.map(({ x }) => x)) - PLANE_MARGIN_PX;
  const top = Math.min(0, ...boxes.map(({ y }) => y)) - PLANE_MARGIN_PX;
  const right = Math.max(100, ...boxes.map(({ x, w }) => x + w)) + PLANE_MARGIN_PX;
  const bottom = Math.max(60, ...boxes.map(({ y, h }) => y + h)) + PLANE_MARGIN_PX;
  return { left, top, width: right - left, height: bottom - top };
}

/**
 * Show the plane at a scale.
 * @param {import("./board.js").Board} board
 * @param {number | "fit"} [scale] "fit" shows all, also when the stage is resized; without it, the
 *   plane is shown as before in what may be another size of the stage
 */
export function updateZoom(board, scale) {
  const { left, top, width, height } = boundsOf([...board.state.nodes, ...board.state.groups]);
  const { clientWidth, clientHeight } = board.stage;
  if (scale !== undefined) board.fitsStage = scale === "fit";
  if (board.fitsStage) {
    const fit = Math.min(1, clientWidth / width, clientHeight / height);
    board.scale = Math.max(MIN_SCALE, fit);
  } else board.scale = clamp(Number(scale ?? board.scale), MIN_SCALE, MAX_SCALE);
  const [w, h] = [width * board.scale, height * board.scale];
  board.origin = {
    x: Math.max(0, (clientWidth - w) / 2) - left * board.scale,
    y: Math.max(0, (clientHeight - h) / 2) - top * board.scale
  };
  const { x, y } = board.origin;
  board.plane.style.transform = `translate(${x}px, ${y}px) scale(${board.scale})`;
  Object.assign(board.sheet.style, {
    width: `${Math.max(clientWidth, w)}px`,
    height: `${Math.max(clientHeight, h)}px`
  });
  const far = board.state.many && board.scale < MIN_READABLE_SCALE;
  if (far !== board.plane.classList.contains("far")) {
    board.plane.classList.toggle("far", far);
    placeEdges(board);
  }
  board.zoomButton.textContent = `${Math.round(board.scale * 100)} %`;
}
