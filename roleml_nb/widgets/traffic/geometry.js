// Where the tabs place what they draw: nodes and edges of the graph, lanes of roles over time,
// cells of a matrix. Nothing here needs a page.

import { clamp } from "../base/common.js";
import { compareNaturally } from "./format.js";

/** @typedef {[number, number]} Point */
/** @typedef {[number, number, number, number]} Segment x and y of both ends */

/** Width of the column of names left of a diagram, in pixels. */
export const GUTTER_PX = 172;
/** Space right of a diagram, in pixels. */
export const RIGHT_MARGIN_PX = 10;
const GRAPH_LEFT_PX = 60;
const GRAPH_TOP_PX = 34;
const GRAPH_BOTTOM_PX = 48;

/**
 * Return where a node of the graph is drawn.
 * @param {Point} place from 0 to 1 in both directions
 * @param {number} width of the canvas
 * @param {number} height of the canvas
 * @returns {Point}
 */
export function toGraphPoint([x, y], width, height) {
  return [
    GRAPH_LEFT_PX + x * (width - 2 * GRAPH_LEFT_PX),
    GRAPH_TOP_PX + y * (height - GRAPH_TOP_PX - GRAPH_BOTTOM_PX)
  ];
}

/**
 * Return the place that is drawn at a point; the inverse of `toGraphPoint`.
 * @param {Point} point
 * @param {number} width of the canvas
 * @param {number} height of the canvas
 * @returns {Point} from 0 to 1 in both directions
 */
export function fromGraphPoint([x, y], width, height) {
  return [
    clamp((x - GRAPH_LEFT_PX) / (width - 2 * GRAPH_LEFT_PX), 0, 1),
    clamp((y - GRAPH_TOP_PX) / (height - GRAPH_TOP_PX - GRAPH_BOTTOM_PX), 0, 1)
  ];
}

/**
 * Return the radius of the nodes of a graph.
 * @param {number} count of nodes
 * @returns {number}
 */
export function nodeRadius(count) {
  return clamp(150 / Math.sqrt(Math.max(1, count)) / 2.6, 2.5, 17);
}

/**
 * Return an edge from the border of one node to that of another, to the right of the line between
 * their centres, so that both directions can be told apart; null where there is no room.
 * @param {Point | null} a centre of the node that it begins at
 * @param {Point | null} b centre of the node that it ends at
 * @param {number} radius of the nodes
 * @returns {Segment | null}
 */
export function edgeSegment(a, b, radius) {
  if (!a || !b) return null;
  const x = b[0] - a[0];
  const y = b[1] - a[1];
  const length = Math.hypot(x, y);
  if (length < 1) return null;
  const u = x / length;
  const v = y / length;
  const inset = Math.min(radius, length / 3);
  const side = Math.min(4, inset / 2.5);
  return [
    a[0] + u * inset - v * side,
    a[1] + v * inset + u * side,
    b[0] - u * inset - v * side,
    b[1] - v * inset + u * side
  ];
}

/**
 * Return the distance of a point from a segment.
 * @param {Point} point
 * @param {Segment} segment
 * @returns {number}
 */
export function distanceToSegment([x, y], [ax, ay, bx, by]) {
  const length = (bx - ax) ** 2 + (by - ay) ** 2;
  const share = length ? clamp(((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length, 0, 1) : 0;
  return Math.hypot(x - ax - share * (bx - ax), y - ay - share * (by - ay));
}

/**
 * Return the item whose segment is nearest to a point, undefined if none is within 6 pixels.
 * @template Item
 * @param {Point} point
 * @param {Iterable<Item>} items
 * @param {(item: Item) => Segment | null} toSegment
 * @returns {Item | undefined}
 */
export function findNearest(point, items, toSegment) {
  let found;
  let nearest = 6;
  for (const item of items) {
    const segment = toSegment(item);
    const distance = segment ? distanceToSegment(point, segment) : Infinity;
    if (distance < nearest) {
      nearest = distance;
      found = item;
    }
  }
  return found;
}

/**
 * The lanes of a space-time diagram, one per role, those of a node one below the other.
 * @typedef {object} Lanes
 * @property {{name: string, top: number, height: number, roles: string[]}[]} nodes in order
 * @property {Map<string, number>} middles y of each role's lane, by "node/role"
 * @property {number} laneHeight
 * @property {number} height of all lanes
 */

/**
 * Lay out the lanes of roles.
 * @param {Iterable<string>} addresses of roles ("node/role"); repetitions do not matter
 * @returns {Lanes}
 */
export function layoutLanes(addresses) {
  /** @type {Map<string, string[]>} */
  const rolesByNode = new Map();
  const all = new Set(addresses);
  for (const address of all) {
    const [node, role] = address.split("/");
    if (!rolesByNode.has(node)) rolesByNode.set(node, []);
    rolesByNode.get(node).push(role);
  }
  const laneHeight = clamp(560 / Math.max(1, all.size), 1.5, 28);
  const middles = new Map();
  const nodes = [];
  let top = 4;
  for (const name of [...rolesByNode.keys()].sort(compareNaturally)) {
    const roles = rolesByNode.get(name).sort();
    roles.forEach((role, index) => {
      middles.set(`${name}/${role}`, top + laneHeight * (index + 0.5));
    });
    const height = laneHeight * roles.length;
    nodes.push({ name, top, height, roles });
    top += height;
  }
  return { nodes, middles, laneHeight, height: top };
}

/**
 * Return where a time is drawn in a space-time diagram.
 * @param {number} time
 * @param {Point} span begin and end of the time that is shown
 * @param {number} width of the canvas
 * @returns {number}
 */
export function timeToX(time, [begin, end], width) {
  return GUTTER_PX + ((time - begin) / (end - begin)) * (width - GUTTER_PX - RIGHT_MARGIN_PX);
}

/**
 * Return the smallest step of an axis that is 1, 2 or 5 times a power of ten and not below `size`.
 * @param {number} size
 * @returns {number}
 */
export function roundStep(size) {
  const power = 10 ** Math.floor(Math.log10(size));
  return [1, 2, 5, 10].map((times) => times * power).find((step) => step >= size) ?? 10 * power;
}

/**
 * Return the heights of what is drawn for a number of sources.
 * @param {number} count
 * @returns {{row: number, overviewRow: number, top: number, height: number}} of a row of the round
 *   in detail and of the overview; where the round in detail begins; of all
 */
export function layoutRounds(count) {
  const row = clamp(380 / count, 5, 24);
  const overviewRow = clamp(72 / count, 2, 9);
  const top = count * overviewRow + 44;
  return { row, overviewRow, top, height: top + count * row + 16 };
}

/**
 * Return column and row of the cell of a matrix at a point, null outside of it.
 * @param {Point | null} point
 * @param {{left: number, top: number, size: number, columns: number, rows: number}} matrix
 * @returns {Point | null}
 */
export function findCell(point, { left, top, size, columns, rows }) {
  if (!point) return null;
  const column = Math.floor((point[0] - left) / size);
  const row = Math.floor((point[1] - top) / size);
  return column >= 0 && row >= 0 && column < columns && row < rows ? [column, row] : null;
}
