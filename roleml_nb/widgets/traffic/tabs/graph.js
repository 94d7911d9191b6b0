// The graph: nodes, the edges that messages took, and the messages on their way.

import { clamp } from "../../base/common.js";
import { formatBytes, formatCount, formatFlight } from "../format.js";
import { edgeSegment, findNearest, fromGraphPoint, nodeRadius, toGraphPoint } from "../geometry.js";
import {
  KINDS,
  MAX_DISORDER_S,
  MAX_LATENCY_S,
  pairKey,
  RING_SIZE,
  sumFlows,
  sumPairs
} from "../log.js";
import { drawText, kindColour, Stage } from "../stage.js";

const MIN_FLIGHT_S = 0.6; // that a message is seen for, however fast it was
const MAX_EDGES = 4000; // of more, the busiest are drawn
const MAX_NAMED_NODES = 60;
const FULL_CIRCLE = 2 * Math.PI;

/**
 * Make the tab of the graph.
 * @param {import("../traffic.js").TabContext} context
 * @returns {import("../traffic.js").Tab}
 */
export function graphTab({ view, log, filter, clock, colours, selectNode }) {
  const stage = new Stage(view, 460, "graph of nodes with messages on their way");
  const reducedMotion = matchMedia("(prefers-reduced-motion: reduce)");
  const draggedPlaces = new Map();
  let places = {};
  let points = [];
  let radius = 0;
  let edges = [];
  let links = []; // pairs of nodes that know each other
  let layerKey = "";
  let drag = null;
  view.onTrait("_places", (value) => {
    places = value;
    layerKey = "";
    stage.dirty = true;
  });
  view.onTrait("_links", (value) => {
    links = value;
    layerKey = "";
    stage.dirty = true;
  });

  const updatePoints = () => {
    points = log.nodes.map((name) => {
      const place = draggedPlaces.get(name) ?? places[name];
      return place ? toGraphPoint(place, stage.width, stage.height) : null;
    });
    radius = nodeRadius(points.length);
  };

  const updateEdges = () => {
    edges = [...sumPairs(filter.busyFlows).values()].sort((one, other) => other.bytes - one.bytes);
  };

  const segmentOf = ({ from, to }) => edgeSegment(points[from], points[to], radius);

  // The edges change little. They are drawn into a layer of their own, which each frame copies.
  const layer = document.createElement("canvas");
  const drawLayer = () => {
    layer.width = stage.canvas.width;
    layer.height = stage.canvas.height;
    const ctx = layer.getContext("2d");
    ctx.setTransform(stage.context.getTransform());
    drawLinks(ctx);
    drawEdges(ctx);
  };
  // Draw the links that no message has taken as dashed lines.
  const drawLinks = (ctx) => {
    const used = new Set();
    for (const { from, to } of edges) used.add(pairKey(from, to)).add(pairKey(to, from));
    ctx.beginPath();
    for (const pair of links) {
      const [from, to] = pair.map((name) => log.nodeIndex(name));
      if (points[from] && points[to] && !used.has(pairKey(from, to))) {
        ctx.moveTo(...points[from]);
        ctx.lineTo(...points[to]);
      }
    }
    ctx.strokeStyle = colours.faint;
    ctx.globalAlpha = 0.6;
    ctx.setLineDash([2, 4]);
    ctx.stroke();
    ctx.setLineDash([]);
    ctx.globalAlpha = 1;
  };
  // Draw the edges at four levels of width: four strokes instead of thousands.
  const drawEdges = (ctx) => {
    const most = Math.log1p(edges.length ? edges[0].bytes : 1);
    ctx.strokeStyle = colours.faint;
    const boldness = edges.length < 400 ? 1 : 0.4;
    for (let level = 0; level < 4; level += 1) {
      ctx.beginPath();
      ctx.lineWidth = (0.5 + level * 0.9) * Math.max(0.6, boldness);
      ctx.globalAlpha = (0.28 + level * 0.1) * boldness;
      for (const edge of edges.slice(0, MAX_EDGES)) {
        if (Math.min(3, Math.floor(4 * (Math.log1p(edge.bytes) / most) ** 3)) !== level) continue;
        const segment = segmentOf(edge);
        if (segment) {
          ctx.moveTo(segment[0], segment[1]);
          ctx.lineTo(segment[2], segment[3]);
        }
      }
      ctx.stroke();
    }
    ctx.globalAlpha = 1;
  };

  const drawMessages = (ctx) => {
    const minFlight = MIN_FLIGHT_S * (clock.live ? 1 : clock.speed);
    const { mask } = filter;
    const groups = KINDS.map(() => [[], [], []]); // by kind and size
    const local = [];
    const begin = clock.time - Math.max(minFlight, MAX_LATENCY_S) - MAX_DISORDER_S;
    for (let row = log.findRow(begin); row < log.head; row += 1) {
      const slot = row % RING_SIZE;
      const sent = log.ring.sent[slot];
      if (sent > clock.time + MAX_DISORDER_S) break;
      const index = log.ring.flow[slot];
      const share = (clock.time - sent) / Math.max(minFlight, log.ring.latency[slot]);
      if (share < 0 || share > 1 || !mask[index]) continue;
      const flow = log.flows[index];
      if (flow.from === flow.to) {
        local.push([flow.from, flow.kindIndex, share]);
        continue;
      }
      const segment = segmentOf(flow);
      const size = clamp(Math.floor(Math.log10(log.ring.bytes[slot] + 1) - 2.5), 0, 2);
      if (segment) groups[flow.kindIndex][size].push([segment, share]);
    }
    const width = clamp(radius / 4, 1.6, 3.2);
    ctx.lineCap = "round";
    for (const [kind, sizes] of groups.entries()) {
      for (const [size, flying] of sizes.entries()) {
        if (!flying.length) continue;
        ctx.strokeStyle = colours[kindColour(kind)];
        ctx.lineWidth = width * (0.8 + size * 0.8);
        ctx.beginPath();
        for (const [[ax, ay, bx, by], share] of flying) {
          const tail = reducedMotion.matches ? 0 : Math.max(0, share - 0.14);
          const head = reducedMotion.matches ? 1 : share;
          ctx.moveTo(ax + (bx - ax) * tail, ay + (by - ay) * tail);
          ctx.lineTo(ax + (bx - ax) * head, ay + (by - ay) * head);
        }
        ctx.stroke();
      }
    }
    ctx.lineWidth = 1.5;
    for (const [node, kind, share] of local) {
      // within a node: a ring that widens
      if (!points[node]) continue;
      ctx.strokeStyle = colours[kindColour(kind)];
      ctx.globalAlpha = 0.8 * (1 - share);
      ctx.beginPath();
      ctx.arc(
        ...points[node],
        radius + 2 + (reducedMotion.matches ? 3 : 7 * share),
        0,
        FULL_CIRCLE
      );
      ctx.stroke();
    }
    ctx.globalAlpha = 1;
    return groups.flat(2).length + local.length;
  };

  const drawNodes = (ctx, hovered) => {
    const executing = log.executingNodes(clock.time, filter.mask);
    const used = new Set();
    for (const { from, to } of edges) used.add(from).add(to);
    const named = points.length <= MAX_NAMED_NODES;
    if (!named)
      drawText(ctx, "point at a node for its name", 4, stage.height - 6, { fill: colours.faint });
    points.forEach((point, index) => {
      const name = log.nodes[index];
      if (!point || !(name in places)) return;
      const selected = filter.node === name;
      const marked = selected || hovered === index;
      ctx.globalAlpha = used.has(index) || !edges.length ? 1 : 0.55;
      ctx.beginPath();
      ctx.arc(...point, radius, 0, FULL_CIRCLE);
      ctx.fillStyle = executing.has(index) ? colours.accent : colours.raised;
      ctx.fill();
      ctx.lineWidth = selected ? 3 : 1.4;
      ctx.strokeStyle = marked ? colours.accent : colours.faint;
      ctx.stroke();
      if (named || marked) {
        drawText(ctx, name, point[0], point[1] + radius + 14, {
          fill: colours.ink,
          halo: colours.ground,
          align: "center"
        });
      }
      ctx.globalAlpha = 1;
    });
  };

  const findNode = ([x, y]) =>
    points.findIndex(
      (point, index) =>
        point && log.nodes[index] in places && Math.hypot(point[0] - x, point[1] - y) <= radius + 3
    );

  const describeNode = (index) => {
    const sent = sumFlows(edges.filter(({ from }) => from === index));
    const received = sumFlows(edges.filter(({ to }) => to === index));
    return [
      log.nodes[index],
      `sent ${formatCount(sent.messages)} messages, ${formatBytes(sent.bytes)}`,
      `received ${formatCount(received.messages)} messages, ${formatBytes(received.bytes)}`
    ];
  };

  const describeHovered = (hovered) => {
    if (hovered >= 0) return describeNode(hovered);
    const edge = stage.pointer && findNearest(stage.pointer, edges.slice(0, MAX_EDGES), segmentOf);
    return edge ? describePair(log, edge) : null;
  };

  stage.canvas.addEventListener("pointerdown", (event) => {
    const index = findNode([event.offsetX, event.offsetY]);
    if (index >= 0) {
      drag = { index, moved: false };
      stage.canvas.setPointerCapture(event.pointerId);
    }
  });
  stage.canvas.addEventListener("pointermove", (event) => {
    if (!drag) return;
    drag.moved = true;
    draggedPlaces.set(
      log.nodes[drag.index],
      fromGraphPoint([event.offsetX, event.offsetY], stage.width, stage.height)
    );
    layerKey = "";
  });
  stage.canvas.addEventListener("pointerup", (event) => {
    const name = log.nodes[findNode([event.offsetX, event.offsetY])];
    if (!drag?.moved) selectNode(name && name !== filter.node ? name : "");
    drag = null;
  });

  let layerDrawnAt = 0;
  const draw = () => {
    for (const name of Object.keys(places)) log.nodeIndex(name);
    const key = `${stage.width} ${stage.height} ${log.nodes.length} ${colours.ink}`;
    if (
      key !== layerKey ||
      performance.now() - layerDrawnAt > (edges.length > 300 ? 1500 : 400) ||
      filter.version !== log.version
    ) {
      updatePoints();
      updateEdges();
      drawLayer();
      layerKey = key;
      layerDrawnAt = performance.now();
    }
    const ctx = stage.clear();
    if (layer.width) ctx.drawImage(layer, 0, 0, stage.width, stage.height);
    const flying = drawMessages(ctx);
    const hovered = stage.pointer ? findNode(stage.pointer) : -1;
    drawNodes(ctx, hovered);
    stage.showTip(drag?.moved ? null : describeHovered(hovered));
    Object.assign(stage.canvas.dataset, {
      flying,
      nodes: Object.keys(places).length,
      edges: edges.length
    });
  };
  return { name: "graph", title: "Graph", element: stage.box, stage, draw, animated: true };
}

/**
 * Return the messages from one node to another, and their channels, as lines of text.
 * @param {import("../log.js").Log} log
 * @param {import("../log.js").Pair} pair
 * @returns {string[]}
 */
export function describePair(log, { from, to, messages, bytes, seconds, travelled, lost, parts }) {
  const largest = [...parts].sort((one, other) => other[2] - one[2]).slice(0, 5);
  const flight = formatFlight(travelled && seconds / travelled);
  const losses = lost ? `, ${lost} lost` : "";
  const lines = [
    `${log.nodes[from]} → ${log.nodes[to]}`,
    `${formatCount(messages)} messages, ${formatBytes(bytes)}, ${flight}${losses}`
  ];
  for (const [name, count, size] of largest)
    lines.push(`${name}: ${formatCount(count)}, ${formatBytes(size)}`);
  if (parts.length > 5) lines.push(`and ${parts.length - 5} more`);
  return lines;
}
