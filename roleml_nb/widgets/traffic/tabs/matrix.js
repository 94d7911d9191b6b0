// The matrix: who sent how much to whom, and the totals of each channel. Both are of the whole
// trace, and exact.

import { clamp, tag } from "../../base/common.js";
import {
  compareNaturally,
  formatBytes,
  formatCount,
  formatLatency,
  LATENCY_TITLE
} from "../format.js";
import { findCell } from "../geometry.js";
import { addToSums, pairKey, sumFlows, sumPairs } from "../log.js";
import {
  colourDot,
  drawSlanted,
  drawText,
  fillBox,
  kindColour,
  option,
  Stage,
  strokeBox
} from "../stage.js";
import { describePair } from "./graph.js";

const MAX_NAMED_ROWS = 45;
const MIN_NUMBERED_CELL_PX = 34;
const MAX_CELL_PX = 46;

/**
 * Make the tab of the matrix.
 * @param {import("../traffic.js").TabContext} context
 * @returns {import("../traffic.js").Tab}
 */
export function matrixTab({ view, log, filter, colours, scheduleDraw }) {
  const stage = new Stage(view, 420, "matrix of who sent how much to whom");
  const unit = tag(
    "select",
    { class: "value", "aria-label": "what is counted", onchange: scheduleDraw },
    option("bytes"),
    option("messages")
  );
  const table = tag("table", { class: "totals" });
  const element = tag(
    "div",
    { class: "matrix" },
    tag(
      "div",
      { class: "left" },
      tag("label", {}, "who (rows) sent how many ", unit, " to whom (columns)"),
      stage.box
    ),
    tag("div", { class: "right" }, table)
  );

  const drawGrid = () => {
    const ctx = stage.clear();
    const pairs = sumPairs(filter.busyFlows);
    const shown = new Set();
    for (const { from, to } of pairs.values()) shown.add(from).add(to);
    const nodes = [...shown].sort((one, other) =>
      compareNaturally(log.nodes[one], log.nodes[other])
    );
    const named = nodes.length <= MAX_NAMED_ROWS;
    const margin = named ? 92 : 16;
    const room = Math.min(stage.width, stage.height) - margin - 8;
    const size = Math.min(room / Math.max(1, nodes.length), MAX_CELL_PX);
    const countOf = (pair) => (unit.value === "bytes" ? pair.bytes : pair.messages);
    let most = 1;
    for (const pair of pairs.values())
      if (pair.from !== pair.to) most = Math.max(most, countOf(pair));
    ctx.textBaseline = "middle";
    nodes.forEach((from, row) => {
      nodes.forEach((to, column) => {
        const [x, y] = [margin + column * size, margin + row * size];
        const pair = pairs.get(pairKey(from, to));
        ctx.globalAlpha = 1;
        fillBox(ctx, colours.raised, x, y, size - 0.6, size - 0.6);
        if (!pair) return;
        const own = from === to;
        const share = own ? 0 : Math.log1p(countOf(pair)) / Math.log1p(most);
        ctx.globalAlpha = own ? 0.35 : 0.12 + 0.88 * share;
        fillBox(ctx, own ? colours.faint : colours.accent, x, y, size - 0.6, size - 0.6);
        if (size < MIN_NUMBERED_CELL_PX) return;
        ctx.globalAlpha = 1;
        const text = unit.value === "bytes" ? formatBytes(pair.bytes) : formatCount(pair.messages);
        drawText(ctx, text, x + size / 2, y + size / 2, {
          fill: share > 0.6 ? colours.ground : colours.ink,
          align: "center",
          size: 10,
          width: size - 4
        });
      });
    });
    ctx.globalAlpha = 1;
    if (named) drawNames(ctx, nodes, margin, size);
    drawHovered(ctx, nodes, pairs, margin, size);
  };

  const drawNames = (ctx, nodes, margin, size) => {
    const style = { fill: colours.ink, size: clamp(size, 7, 12) };
    nodes.forEach((node, index) => {
      const middle = margin + (index + 0.5) * size;
      const name = log.nodes[node];
      drawText(ctx, name, margin - 6, middle, { ...style, align: "right", width: margin - 10 });
      drawSlanted(ctx, name, middle, margin - 6, { ...style, width: margin });
    });
  };

  const drawHovered = (ctx, nodes, pairs, margin, size) => {
    const count = nodes.length;
    const matrix = { left: margin, top: margin, size, columns: count, rows: count };
    const cell = findCell(stage.pointer, matrix);
    if (!cell) {
      stage.showTip(null);
      return;
    }
    const [column, row] = cell;
    strokeBox(ctx, colours.ink, margin + column * size, margin + row * size, size, size);
    const [from, to] = [nodes[row], nodes[column]];
    const pair = pairs.get(pairKey(from, to));
    stage.showTip(
      pair ? describePair(log, pair) : [`${log.nodes[from]} → ${log.nodes[to]}`, "nothing"]
    );
  };

  const makeRow = ({ channel, kind, kindIndex, messages, bytes, seconds, travelled, lost }) =>
    tag(
      "tr",
      {},
      tag("td", {}, colourDot(kindColour(kindIndex)), channel),
      tag("td", {}, kind),
      tag("td", {}, formatCount(messages)),
      tag("td", {}, formatBytes(bytes)),
      tag("td", {}, formatLatency({ seconds, travelled })),
      tag("td", {}, lost ? formatCount(lost) : "")
    );

  const updateTable = () => {
    const sums = new Map();
    for (const flow of filter.busyFlows) {
      const { channel, kind, kindIndex } = flow;
      addToSums(sums, `${channel} ${kind}`, flow, { channel, kind, kindIndex });
    }
    const channels = [...sums.values()].sort((one, other) => other.bytes - one.bytes);
    const all = sumFlows(channels);
    const titles = ["channel", "kind", "messages", "bytes", "latency", "lost"].map((name) =>
      tag("th", { title: name === "latency" && LATENCY_TITLE }, name)
    );
    table.replaceChildren(
      tag("thead", {}, tag("tr", {}, ...titles)),
      tag("tbody", {}, ...channels.map(makeRow)),
      tag(
        "tfoot",
        {},
        tag(
          "tr",
          {},
          tag("td", { colspan: 2 }, "all"),
          tag("td", { class: "messages" }, formatCount(all.messages)),
          tag("td", { class: "bytes", "data-bytes": all.bytes }, formatBytes(all.bytes)),
          tag("td", {}, all.messages ? formatLatency(all) : ""),
          tag("td", {}, all.lost ? formatCount(all.lost) : "")
        )
      )
    );
  };

  const draw = () => {
    drawGrid();
    updateTable();
  };
  return { name: "matrix", title: "Matrix", element, stage, draw, animated: false };
}
