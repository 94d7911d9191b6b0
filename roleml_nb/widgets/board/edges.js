// The lines between nodes that know each other: one between two nodes, whatever they know of each
// other, with a head where one is known.

import { tag } from "../base/common.js";
import { openEdgeMenu } from "./actions.js";

const MAX_LABELLED_EDGES = 28; // more of them have no labels
const BEND = 0.12; // of lines between nodes in frames
const DOT_PX = 28; // width of a node that is drawn as a dot
const BORDER_GAP_PX = 2;

/** @typedef {{x: number, y: number, w: number, h: number}} Box */

/**
 * Draw all edges anew.
 * @param {import("./board.js").Board} board
 */
export function drawEdges(board) {
  board.pairs = board.state.pairs;
  const labelled = board.pairs.length <= MAX_LABELLED_EDGES;
  board.edges.replaceChildren(
    makeArrowHead(),
    ...board.pairs.map((pair) => makeEdge(board, pair, labelled))
  );
  placeEdges(board);
}

function makeEdge(board, pair, labelled) {
  const names = [...new Set(pair.known.map(([, relationship]) => relationship))].join(", ");
  pair.path = tag("svg:path", {
    class: "edge",
    "marker-end": "url(#head)",
    "marker-start": pair.both ? "url(#head)" : null
  });
  pair.hitArea = tag(
    "svg:path",
    {
      class: "reach",
      onclick: (event) => openEdgeMenu(board, pair, { x: event.clientX, y: event.clientY })
    },
    tag("svg:title", {}, `${pair.source} ${pair.both ? "↔" : "→"} ${pair.target}: ${names}`)
  );
  pair.label = labelled ? tag("svg:text", { class: "label" }, names) : null;
  pair.group = tag("svg:g", {}, pair.path, pair.hitArea, pair.label);
  return pair.group;
}

function makeArrowHead() {
  return tag(
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
}

/**
 * Place edges between their nodes.
 * @param {import("./board.js").Board} board
 * @param {string | null} [node] whose edges alone are placed; null for all
 */
export function placeEdges(board, node = null) {
  const dots = board.plane.classList.contains("far");
  const bend = board.state.by === "engine" ? BEND : 0;
  for (const pair of board.pairs) {
    if (node && pair.source !== node && pair.target !== node) continue;
    const source = board.cards.get(pair.source).node;
    const target = board.cards.get(pair.target).node;
    const { path, label } = layoutEdge(source, target, bend, dots);
    pair.path.setAttribute("d", path);
    pair.hitArea.setAttribute("d", path);
    pair.label?.setAttribute("x", label[0]);
    pair.label?.setAttribute("y", label[1]);
  }
}

/**
 * Return the path of an edge between two boxes, and where its label stands.
 * @param {Box} source
 * @param {Box} target
 * @param {number} bend 0 for a straight line
 * @param {boolean} dots true if the boxes are drawn as dots in their middle
 * @returns {{path: string, label: [number, number]}}
 */
export function layoutEdge(source, target, bend, dots) {
  const [x1, y1] = middleOf(source);
  const [x2, y2] = middleOf(target);
  const cx = (x1 + x2) / 2 - (y2 - y1) * bend;
  const cy = (y1 + y2) / 2 + (x2 - x1) * bend;
  const start = clipToBox(dots ? dotOf(source) : source, cx, cy);
  const end = clipToBox(dots ? dotOf(target) : target, cx, cy);
  const [from, control, to] = [start, [cx, cy], end].map(formatPoint);
  return {
    path: `M${from}Q${control} ${to}`,
    label: [(start[0] + 2 * cx + end[0]) / 4, (start[1] + 2 * cy + end[1]) / 4]
  };
}

/**
 * Return the middle of a box.
 * @param {Box} box
 * @returns {[number, number]}
 */
export function middleOf({ x, y, w, h }) {
  return [x + w / 2, y + h / 2];
}

function dotOf(box) {
  const [x, y] = middleOf(box);
  return { x: x - DOT_PX / 2, y: y - DOT_PX / 2, w: DOT_PX, h: DOT_PX };
}

function formatPoint([x, y]) {
  return `${x.toFixed(1)} ${y.toFixed(1)}`;
}

// Return where the line from the middle of a box to a point leaves the box.
function clipToBox(box, px, py) {
  const [mx, my] = middleOf(box);
  const [dx, dy] = [px - mx, py - my];
  const share = Math.min(
    dx ? (box.w / 2 + BORDER_GAP_PX) / Math.abs(dx) : Infinity,
    dy ? (box.h / 2 + BORDER_GAP_PX) / Math.abs(dy) : Infinity
  );
  return Number.isFinite(share) ? [mx + dx * share, my + dy * share] : [mx, my];
}

/**
 * Highlight the edges of a node while the others fade; null ends it.
 * @param {import("./board.js").Board} board
 * @param {string | null} node
 */
export function highlightEdges(board, node) {
  if (board.root.classList.contains("dragging")) return;
  const touches = (pair) => pair.source === node || pair.target === node;
  board.root.classList.toggle("following", Boolean(node) && board.pairs.some(touches));
  for (const pair of board.pairs) pair.group.classList.toggle("near", touches(pair));
}
