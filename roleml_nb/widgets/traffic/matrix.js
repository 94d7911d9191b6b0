// The matrix: who sent how much to whom, and the totals of each channel. Both are of the whole
// trace, and exact.

import { clamp, tag } from "../base/common.js";
import { pairInWords } from "./graph.js";
import { add, grouped, KINDS, LATENCY, latency, naturally } from "./log.js";
import { box, bytes, Stage, write } from "./stage.js";

export function matrixTab(view, log, filter, _clock, palette) {
  const stage = new Stage(view, 420);
  stage.canvas.setAttribute("aria-label", "matrix of who sent how much to whom");
  let value = "bytes";
  const choice = tag(
    "select",
    {
      class: "value",
      "aria-label": "what is counted",
      onchange: () => {
        value = choice.value;
        stage.dirty = true;
      }
    },
    tag("option", { value: "bytes" }, "bytes"),
    tag("option", { value: "messages" }, "messages")
  );
  const table = tag("table", { class: "totals" });
  const element = tag(
    "div",
    { class: "matrix" },
    tag(
      "div",
      { class: "left" },
      tag("label", {}, "who (rows) sent how many ", choice, " to whom (columns)"),
      stage.box
    ),
    tag("div", { class: "right" }, table)
  );
  let grid = null;

  const collect = () => {
    const nodes = new Set();
    const cells = new Map();
    const channels = new Map();
    filter.flows.forEach((shown, number) => {
      const flow = log.flows[number];
      if (!shown || !flow.messages) return;
      nodes.add(flow.from).add(flow.to);
      add(cells, `${flow.from} ${flow.to}`, flow, {
        from: flow.from,
        to: flow.to,
        parts: []
      }).parts.push([`${flow.kind} ${flow.channel}`, flow.messages, flow.bytes]);
      add(channels, `${flow.channel} ${flow.kind}`, flow, {
        channel: flow.channel,
        kind: flow.kind,
        colour: flow.colour
      });
    });
    const order = [...nodes].sort((one, other) => naturally(log.nodes[one], log.nodes[other]));
    return {
      order,
      cells,
      channels: [...channels.values()].sort((one, other) => other.bytes - one.bytes)
    };
  };

  const drawGrid = ({ order, cells }) => {
    const pen = stage.begin();
    const named = order.length <= 45;
    const margin = named ? 92 : 16;
    const size = Math.min(
      (stage.wide - margin - 8) / Math.max(1, order.length),
      (stage.high - margin - 8) / Math.max(1, order.length),
      46
    );
    grid = { margin, size, order, cells };
    const most = Math.max(
      1,
      ...[...cells.values()].filter(({ from, to }) => from !== to).map((cell) => cell[value])
    );
    pen.textBaseline = "middle";
    order.forEach((from, row) => {
      order.forEach((to, place) => {
        const [x, y] = [margin + place * size, margin + row * size];
        const cell = cells.get(`${from} ${to}`);
        pen.globalAlpha = 1;
        box(pen, palette.raised, x, y, size - 0.6, size - 0.6);
        if (!cell) return;
        const own = from === to;
        pen.globalAlpha = own ? 0.35 : 0.12 + (0.88 * Math.log1p(cell[value])) / Math.log1p(most);
        box(pen, own ? palette.faint : palette.accent, x, y, size - 0.6, size - 0.6);
        if (size < 34) return;
        pen.globalAlpha = 1;
        const fill =
          !own && Math.log1p(cell[value]) / Math.log1p(most) > 0.6 ? palette.ground : palette.ink;
        write(
          pen,
          value === "bytes" ? bytes(cell.bytes) : grouped(cell.messages),
          x + size / 2,
          y + size / 2,
          { fill, align: "center", size: 10, wide: size - 4 }
        );
      });
    });
    pen.globalAlpha = 1;
    if (named) drawNames(pen);
    drawHover(pen);
  };

  const drawNames = (pen) => {
    const { margin, size, order } = grid;
    const how = { fill: palette.ink, size: clamp(size, 7, 12) };
    order.forEach((node, place) => {
      write(pen, log.nodes[node], margin - 6, margin + (place + 0.5) * size, {
        ...how,
        align: "right",
        wide: margin - 10
      });
      pen.save();
      pen.translate(margin + (place + 0.5) * size, margin - 6);
      pen.rotate(-Math.PI / 4);
      write(pen, log.nodes[node], 0, 0, { ...how, wide: margin });
      pen.restore();
    });
  };

  const drawHover = (pen) => {
    const { margin, size, order, cells } = grid;
    const [place, row] = (stage.pointer ?? [-1, -1]).map((at) => Math.floor((at - margin) / size));
    const inside =
      stage.pointer && row >= 0 && place >= 0 && row < order.length && place < order.length;
    if (!inside) {
      stage.say(null);
      return;
    }
    pen.strokeStyle = palette.ink;
    pen.lineWidth = 1.5;
    pen.strokeRect(margin + place * size, margin + row * size, size, size);
    const cell = cells.get(`${order[row]} ${order[place]}`);
    stage.say(
      cell
        ? pairInWords(log, cell)
        : [`${log.nodes[order[row]]} → ${log.nodes[order[place]]}`, "nothing"]
    );
  };

  const fill = (channels) => {
    const rows = channels.map(
      ({ channel, kind, colour, messages, bytes: size, seconds, travelled, lost }) =>
        tag(
          "tr",
          {},
          tag(
            "td",
            {},
            tag("i", {
              class: "dot",
              style: `background:var(--${KINDS[colour] === "other" ? "faint" : KINDS[colour]})`
            }),
            channel
          ),
          tag("td", {}, kind),
          tag("td", {}, grouped(messages)),
          tag("td", {}, bytes(size)),
          tag("td", {}, latency({ seconds, travelled })),
          tag("td", {}, lost ? grouped(lost) : "")
        )
    );
    const all = sumOf(channels);
    table.replaceChildren(
      tag(
        "thead",
        {},
        tag(
          "tr",
          {},
          ...["channel", "kind", "messages", "bytes", "latency", "lost"].map((name) =>
            tag("th", { title: name === "latency" && LATENCY }, name)
          )
        )
      ),
      tag("tbody", {}, ...rows),
      tag(
        "tfoot",
        {},
        tag(
          "tr",
          {},
          tag("td", { colspan: 2 }, "all"),
          tag("td", { class: "messages" }, grouped(all.messages)),
          tag("td", { class: "bytes", "data-bytes": all.bytes }, bytes(all.bytes)),
          tag("td", {}, all.messages ? latency(all) : ""),
          tag("td", {}, all.lost ? grouped(all.lost) : "")
        )
      )
    );
  };

  const draw = () => {
    const collected = collect();
    drawGrid(collected);
    fill(collected.channels);
  };
  return { name: "matrix", title: "Matrix", element, stage, draw, animated: false };
}

export function sumOf(flows) {
  return add(new Map(), "", null, {}, flows);
}
