// The graph: nodes, the edges that messages took, and the messages on their way.

import { clamp } from "../base/common.js";
import { add, grouped, KINDS, onTheWay, RING, WORKS } from "./log.js";
import { bytes, Stage, write } from "./stage.js";

const FLIGHT = 0.6; // s that a message is seen at least, however fast it was
export const SLOWEST = 5; // s: slower ones are not looked for
const EDGES = 4000; // of more, the busiest are drawn

export function graphTab(view, log, filter, clock, palette, chooseNode) {
  const stage = new Stage(view, 460);
  stage.canvas.setAttribute("aria-label", "graph of nodes with messages on their way");
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const moved = new Map(); // nodes that were dragged
  let places = {};
  let points = [];
  let edges = [];
  let links = []; // nodes that know each other
  let known = "";
  let held = null;
  view.follow("_places", (given) => {
    places = given;
    known = "";
    stage.dirty = true;
  });
  view.follow("_links", (given) => {
    links = given;
    known = "";
    stage.dirty = true;
  });

  const place = () => {
    const [left, top] = [60, 34];
    points = log.nodes.map((name) => {
      const at = moved.get(name) ?? places[name];
      return at
        ? [left + at[0] * (stage.wide - 2 * left), top + at[1] * (stage.high - 2 * top - 14)]
        : null;
    });
  };
  const radius = () => clamp(150 / Math.sqrt(Math.max(1, points.length)) / 2.6, 2.5, 17);

  // What went between each two nodes, of what is shown.
  const sum = () => {
    const pairs = new Map();
    filter.flows.forEach((shown, number) => {
      const flow = log.flows[number];
      if (!shown || !flow.messages) return;
      add(pairs, flow.from * 65536 + flow.to, flow, {
        from: flow.from,
        to: flow.to,
        parts: []
      }).parts.push([`${flow.kind} ${flow.channel}`, flow.messages, flow.bytes]);
    });
    edges = [...pairs.values()].sort((one, other) => other.bytes - one.bytes);
  };

  // From the edge of one node to that of the other, on the right-hand side.
  const line = (from, to) => {
    const [a, b] = [points[from], points[to]];
    if (!a || !b) return null;
    const [x, y] = [b[0] - a[0], b[1] - a[1]];
    const length = Math.hypot(x, y);
    if (length < 1) return null;
    const [u, v] = [x / length, y / length];
    const near = Math.min(radius(), length / 3);
    const side = Math.min(4, near / 2.5);
    return [
      a[0] + u * near - v * side,
      a[1] + v * near + u * side,
      b[0] - u * near - v * side,
      b[1] - v * near + u * side
    ];
  };

  // The edges change little, and are drawn into a layer of their own, which is copied at each
  // frame.
  const layer = document.createElement("canvas");
  const drawLayer = () => {
    layer.width = stage.canvas.width;
    layer.height = stage.canvas.height;
    const pen = layer.getContext("2d");
    pen.setTransform(stage.canvas.getContext("2d").getTransform());
    drawLinks(pen);
    drawEdges(pen);
  };
  const drawLinks = (pen) => {
    // dashed, where no message has gone
    const used = new Set(edges.flatMap(({ from, to }) => [`${from} ${to}`, `${to} ${from}`]));
    pen.beginPath();
    for (const pair of links) {
      const numbers = pair.map((name) => log.node(name));
      const [a, b] = numbers.map((number) => points[number]);
      if (a && b && !used.has(numbers.join(" "))) {
        pen.moveTo(...a);
        pen.lineTo(...b);
      }
    }
    pen.strokeStyle = palette.faint;
    pen.globalAlpha = 0.6;
    pen.setLineDash([2, 4]);
    pen.stroke();
    pen.setLineDash([]);
    pen.globalAlpha = 1;
  };
  const drawEdges = (pen) => {
    const most = Math.log1p(edges.length ? edges[0].bytes : 1);
    pen.strokeStyle = palette.faint;
    const bold = edges.length < 400 ? 1 : 0.4;
    for (let level = 0; level < 4; level += 1) {
      // few strokes instead of many
      pen.beginPath();
      pen.lineWidth = (0.5 + level * 0.9) * Math.max(0.6, bold);
      pen.globalAlpha = (0.28 + level * 0.1) * bold;
      for (const { from, to, bytes: size } of edges.slice(0, EDGES)) {
        if (Math.min(3, Math.floor(4 * (Math.log1p(size) / most) ** 3)) !== level) continue;
        const ends = line(from, to);
        if (ends) {
          pen.moveTo(ends[0], ends[1]);
          pen.lineTo(ends[2], ends[3]);
        }
      }
      pen.stroke();
    }
    pen.globalAlpha = 1;
  };

  const drawMessages = (pen) => {
    const speed = clock.live ? 1 : clock.speed;
    const least = FLIGHT * speed;
    const shown = filter.flows;
    const groups = KINDS.map(() => [[], [], []]);
    const local = [];
    for (let row = log.find(clock.at - Math.max(least, SLOWEST) - 0.3); row < log.head; row += 1) {
      const slot = row % RING;
      const sent = log.ring.sent[slot];
      if (sent > clock.at + 0.3) break;
      const number = log.ring.flow[slot];
      const share = (clock.at - sent) / Math.max(least, log.ring.latency[slot]);
      if (share < 0 || share > 1 || !shown[number]) continue;
      const { from, to, colour } = log.flows[number];
      if (from === to) {
        local.push([from, colour, share]);
        continue;
      }
      const ends = line(from, to);
      if (ends)
        groups[colour][clamp(Math.floor(Math.log10(log.ring.bytes[slot] + 1) - 2.5), 0, 2)].push([
          ends,
          share
        ]);
    }
    const size = clamp(radius() / 4, 1.6, 3.2);
    for (const [colour, widths] of groups.entries()) {
      for (const [wide, flying] of widths.entries()) {
        if (!flying.length) continue;
        pen.strokeStyle = palette.kind(colour);
        pen.lineCap = "round";
        pen.lineWidth = size * (0.8 + wide * 0.8);
        pen.beginPath();
        for (const [[ax, ay, bx, by], share] of flying) {
          const [begin, end] = still.matches ? [0, 1] : [Math.max(0, share - 0.14), share];
          pen.moveTo(ax + (bx - ax) * begin, ay + (by - ay) * begin);
          pen.lineTo(ax + (bx - ax) * end, ay + (by - ay) * end);
        }
        pen.stroke();
      }
    }
    pen.lineWidth = 1.5;
    for (const [node, colour, share] of local) {
      // within a node: a ring that widens
      if (!points[node]) continue;
      pen.strokeStyle = palette.kind(colour);
      pen.globalAlpha = 0.8 * (1 - share);
      pen.beginPath();
      pen.arc(...points[node], radius() + 2 + (still.matches ? 3 : 7 * share), 0, 7);
      pen.stroke();
    }
    pen.globalAlpha = 1;
    return groups.flat(2).length + local.length;
  };

  const busy = () => {
    const at = new Set();
    const { begin, end, flow } = log.works;
    for (let slot = 0; slot < Math.min(log.worked, WORKS); slot += 1) {
      if (begin[slot] <= clock.at && end[slot] > clock.at && filter.flows[flow[slot]])
        at.add(log.flows[flow[slot]].to);
    }
    return at;
  };

  const drawNodes = (pen, over) => {
    const size = radius();
    const atWork = busy();
    const used = new Set(edges.flatMap(({ from, to }) => [from, to]));
    write(pen, points.length > 60 ? "point at a node for its name" : "", 4, stage.high - 6, {
      fill: palette.faint
    });
    pen.textAlign = "center";
    points.forEach((point, number) => {
      if (!point || !(log.nodes[number] in places)) return;
      const chosen = filter.node === log.nodes[number];
      pen.globalAlpha = used.has(number) || !edges.length ? 1 : 0.55;
      pen.beginPath();
      pen.arc(...point, size, 0, 7);
      pen.fillStyle = atWork.has(number) ? palette.accent : palette.raised;
      pen.fill();
      pen.lineWidth = chosen ? 3 : 1.4;
      pen.strokeStyle = chosen || over === number ? palette.accent : palette.faint;
      pen.stroke();
      if (points.length <= 60 || over === number || chosen) {
        pen.lineWidth = 3;
        pen.strokeStyle = palette.ground;
        pen.strokeText(log.nodes[number], point[0], point[1] + size + 14);
        write(pen, log.nodes[number], point[0], point[1] + size + 14, {
          fill: palette.ink,
          align: "center"
        });
      }
      pen.globalAlpha = 1;
    });
  };

  const nodeAt = ([x, y]) =>
    points.findIndex(
      (point, number) =>
        point &&
        log.nodes[number] in places &&
        Math.hypot(point[0] - x, point[1] - y) <= radius() + 3
    );

  const edgeAt = ([x, y]) => {
    let best = null;
    let nearest = 6;
    for (const edge of edges.slice(0, EDGES)) {
      const ends = line(edge.from, edge.to);
      if (!ends) continue;
      const far = toSegment(x, y, ...ends);
      if (far < nearest) {
        nearest = far;
        best = edge;
      }
    }
    return best;
  };

  const tipOf = (over) => {
    if (over >= 0) {
      const sent = edges.filter(({ from }) => from === over);
      const got = edges.filter(({ to }) => to === over);
      const all = (some) =>
        `${some.reduce((sum_, one) => sum_ + one.messages, 0).toLocaleString("en")} messages, ` +
        bytes(some.reduce((sum_, one) => sum_ + one.bytes, 0));
      return [log.nodes[over], `sent ${all(sent)}`, `received ${all(got)}`];
    }
    const edge = stage.pointer && edgeAt(stage.pointer);
    return edge ? pairInWords(log, edge) : null;
  };

  stage.canvas.addEventListener("pointerdown", (event) => {
    const number = nodeAt([event.offsetX, event.offsetY]);
    if (number >= 0) {
      held = { number, moved: false };
      stage.canvas.setPointerCapture(event.pointerId);
    }
  });
  stage.canvas.addEventListener("pointermove", (event) => {
    if (!held) return;
    held.moved = true;
    moved.set(log.nodes[held.number], [
      clamp((event.offsetX - 60) / (stage.wide - 120), 0, 1),
      clamp((event.offsetY - 34) / (stage.high - 82), 0, 1)
    ]);
    known = "";
  });
  stage.canvas.addEventListener("pointerup", (event) => {
    const number = nodeAt([event.offsetX, event.offsetY]);
    if (!held?.moved)
      chooseNode(number >= 0 && log.nodes[number] !== filter.node ? log.nodes[number] : "");
    held = null;
  });

  let summed = 0;
  const draw = () => {
    for (const name of Object.keys(places)) log.node(name);
    const state = `${stage.wide} ${stage.high} ${log.nodes.length} ${palette.ink}`;
    if (
      state !== known ||
      performance.now() - summed > (edges.length > 300 ? 1500 : 400) ||
      filter.version !== log.version
    ) {
      place();
      sum();
      drawLayer();
      known = state;
      summed = performance.now();
    }
    const pen = stage.begin();
    if (layer.width) pen.drawImage(layer, 0, 0, stage.wide, stage.high);
    const flying = drawMessages(pen);
    const over = stage.pointer ? nodeAt(stage.pointer) : -1;
    drawNodes(pen, over);
    stage.say(held?.moved ? null : tipOf(over));
    stage.canvas.dataset.flying = flying;
    stage.canvas.dataset.nodes = Object.keys(places).length;
    stage.canvas.dataset.edges = edges.length;
  };
  return { name: "graph", title: "Graph", element: stage.box, stage, draw, animated: true };
}

export function pairInWords(
  log,
  { from, to, messages, bytes: size, seconds, travelled, lost, parts }
) {
  const most = [...parts].sort((one, other) => other[2] - one[2]).slice(0, 5);
  return [
    `${log.nodes[from]} → ${log.nodes[to]}`,
    `${grouped(messages)} messages, ${bytes(size)}, ${onTheWay(travelled && seconds / travelled)}` +
      (lost ? `, ${lost} lost` : ""),
    ...most.map(([name, count, its]) => `${name}: ${grouped(count)}, ${bytes(its)}`),
    ...(parts.length > 5 ? [`and ${parts.length - 5} more`] : [])
  ];
}

export function toSegment(x, y, ax, ay, bx, by) {
  const length = (bx - ax) ** 2 + (by - ay) ** 2;
  const share = length ? clamp(((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length, 0, 1) : 0;
  return Math.hypot(x - ax - share * (bx - ax), y - ay - share * (by - ay));
}
