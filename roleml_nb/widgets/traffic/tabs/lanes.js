// The space-time diagram: a lane per role, messages as lines from one to another, executions of
// handlers as bars.

import { clamp, tag } from "../../base/common.js";
import { formatBytes, formatCount, formatDuration, formatFlight } from "../format.js";
import {
  findNearest,
  GUTTER_PX,
  layoutLanes,
  RIGHT_MARGIN_PX,
  roundStep,
  timeToX
} from "../geometry.js";
import { KINDS, MAX_DISORDER_S, MAX_LATENCY_S, RING_SIZE } from "../log.js";
import { button, drawLine, drawText, fillBox, kindColour, Stage } from "../stage.js";

const MAX_LINES = 6000; // messages drawn at once
const MAX_ARROWS = 400;
const THICK_FROM_BYTES = 10000;
const AXIS_PX = 24;

/**
 * A message as it is drawn.
 * @typedef {object} Line
 * @property {number} row
 * @property {number} kindIndex
 * @property {boolean} thick
 * @property {import("../geometry.js").Segment} segment
 */

/**
 * An execution as it is drawn, and the row of its call.
 * @typedef {object} Bar
 * @property {number} left
 * @property {number} right
 * @property {number} top
 * @property {number} bottom
 * @property {number} slot
 * @property {number} row
 */

/**
 * Make the tab of the space-time diagram.
 * @param {import("../traffic.js").TabContext} context
 * @returns {import("../traffic.js").Tab}
 */
export function lanesTab({ view, log, filter, clock, colours, scheduleDraw }) {
  const stage = new Stage(view, 460, "messages and handlers over time; wheel to zoom, drag to pan");
  stage.canvas.classList.add("lanes");
  const details = tag("dl", { class: "details", hidden: true });
  let chosenSeconds = null; // that are shown; all of them unless chosen
  let selected = -1; // row of a message
  /** @type {Line[]} */
  let lines = []; // as they were drawn last
  /** @type {Bar[]} */
  let bars = [];
  let drag = null;
  /** @type {[number, number]} */
  let span = [0, 1]; // of the time that was drawn last

  // Return begin and end of the time that is shown. Live, what happened last stays in sight while
  // no handler executes.
  const visibleSpan = () => {
    const whole = Math.max(1e-6, clock.duration);
    const seconds = chosenSeconds ?? (clock.canLive ? Math.min(5, Math.max(1, whole)) : whole);
    const idle = clock.live && !log.isExecuting(filter.mask);
    const end = idle
      ? Math.min(clock.time, log.lastReceived(filter.mask) + seconds / 4)
      : clock.time;
    return /** @type {[number, number]} */ ([end - seconds, end]);
  };
  const toX = (time) => timeToX(time, span, stage.width);

  const draw = () => {
    const { mask } = filter;
    const shown = log.flows.filter((_, index) => mask[index]);
    const lanes = layoutLanes(shown.flatMap(({ source, target }) => [source, target]));
    stage.resize(Math.max(200, lanes.height + 30));
    span = visibleSpan();
    const ctx = stage.clear();
    drawLanes(ctx, lanes);
    drawAxis(ctx);
    ctx.save();
    ctx.beginPath();
    ctx.rect(GUTTER_PX, 0, stage.width - GUTTER_PX, stage.height - AXIS_PX);
    ctx.clip();
    bars = drawBars(ctx, lanes);
    lines = drawMessages(ctx, lanes);
    ctx.restore();
    Object.assign(stage.canvas.dataset, { lines: lines.length, bars: bars.length });
    stage.showTip(stage.pointer && !drag?.moved ? describeHovered(stage.pointer) : null);
  };

  const drawLanes = (ctx, { nodes, middles, laneHeight }) => {
    ctx.textBaseline = "middle";
    nodes.forEach(({ top, height }, index) => {
      if (index % 2 === 0) fillBox(ctx, colours.raised, 0, top, stage.width, height);
    });
    const small = laneHeight < 12;
    nodes.forEach(({ name, top, height, roles }, index) => {
      if (height < 13 && index % Math.ceil(13 / height)) return;
      drawText(ctx, name, 8, small ? top + height / 2 : middles.get(`${name}/${roles[0]}`), {
        fill: colours.ink,
        weight: small ? "" : "600",
        width: small ? GUTTER_PX - 12 : 74
      });
      if (small) return;
      for (const role of roles)
        drawText(ctx, role, GUTTER_PX - 8, middles.get(`${name}/${role}`), {
          fill: colours.faint,
          align: "right",
          size: 11,
          width: GUTTER_PX - 92
        });
    });
    ctx.textBaseline = "alphabetic";
  };

  const drawAxis = (ctx) => {
    ctx.strokeStyle = colours.line;
    ctx.lineWidth = 1;
    const step = roundStep((span[1] - span[0]) / Math.max(2, (stage.width - GUTTER_PX) / 110));
    const digits = Math.max(0, Math.ceil(-Math.log10(step) - 1e-9));
    ctx.beginPath();
    for (let time = Math.ceil(span[0] / step) * step; time <= span[1]; time += step) {
      const x = toX(time);
      ctx.moveTo(x, 2);
      ctx.lineTo(x, stage.height - AXIS_PX + 2);
      if (x > GUTTER_PX + 12 && x < stage.width - 24)
        drawText(ctx, `${time.toFixed(digits)} s`, x, stage.height - 8, {
          fill: colours.faint,
          align: "center",
          size: 11
        });
    }
    ctx.globalAlpha = 0.6;
    ctx.stroke();
    ctx.globalAlpha = 1;
  };

  const drawBars = (ctx, { middles, laneHeight }) => {
    const { begin, end, flow, row } = log.executions;
    const { mask } = filter;
    const found = [];
    const height = clamp(laneHeight * 0.6, 1.2, 14);
    ctx.globalAlpha = 0.42;
    for (let slot = 0; slot < log.executionSlots; slot += 1) {
      const until = Math.min(end[slot], clock.time);
      if (begin[slot] > span[1] || until < span[0] || !mask[flow[slot]]) continue;
      const { target, kindIndex } = log.flows[flow[slot]];
      const top = middles.get(target) - height / 2;
      const left = toX(Math.max(begin[slot], span[0]));
      const right = toX(until);
      fillBox(ctx, colours[kindColour(kindIndex)], left, top, Math.max(0.7, right - left), height);
      found.push({
        left,
        right: Math.max(left + 2, right),
        top,
        bottom: top + height,
        slot,
        row: row[slot]
      });
    }
    ctx.globalAlpha = 1;
    return found;
  };

  // Return the rows of the messages that are shown; of too many, evenly chosen ones.
  const visibleRows = () => {
    const rows = [];
    const { mask } = filter;
    for (
      let row = log.findRow(span[0] - MAX_LATENCY_S - MAX_DISORDER_S);
      row < log.head;
      row += 1
    ) {
      const slot = row % RING_SIZE;
      const sent = log.ring.sent[slot];
      if (sent > span[1] + MAX_DISORDER_S) break;
      if (mask[log.ring.flow[slot]] && sent <= span[1] && sent + log.ring.latency[slot] >= span[0])
        rows.push(row);
    }
    const every = Math.ceil(rows.length / MAX_LINES);
    stage.canvas.dataset.every = String(every);
    return every > 1 ? rows.filter((row) => row % every === 0) : rows;
  };

  const drawMessages = (ctx, { middles }) => {
    /** @type {(row: number) => Line} */
    const toLine = (row) => {
      const slot = row % RING_SIZE;
      const { source, target, kindIndex } = log.flows[log.ring.flow[slot]];
      const sent = log.ring.sent[slot];
      return {
        row,
        kindIndex,
        thick: log.ring.bytes[slot] > THICK_FROM_BYTES,
        segment: [
          toX(sent),
          middles.get(source),
          toX(sent + log.ring.latency[slot]),
          middles.get(target)
        ]
      };
    };
    const drawn = visibleRows().map(toLine);
    ctx.globalAlpha = drawn.length > 1500 ? 0.35 : 0.85;
    for (const kind of KINDS.keys()) {
      ctx.strokeStyle = colours[kindColour(kind)];
      for (const isThick of [false, true]) {
        ctx.lineWidth = isThick ? 2 : 1;
        ctx.beginPath();
        for (const { kindIndex, thick, segment } of drawn) {
          if (kindIndex !== kind || thick !== isThick) continue;
          const [ax, ay, bx, by] = segment;
          ctx.moveTo(ax, ay);
          ctx.lineTo(bx, by);
          if (drawn.length < MAX_ARROWS) addArrowHead(ctx, segment);
        }
        ctx.stroke();
      }
    }
    ctx.globalAlpha = 1;
    drawCrosses(ctx, drawn);
    const marked = drawn.find(({ row }) => row === selected);
    if (marked) {
      const [ax, ay, bx, by] = marked.segment;
      drawLine(ctx, colours.ink, 3, [ax, ay], [bx, by]);
    }
    return drawn;
  };

  // Mark the messages that were lost.
  const drawCrosses = (ctx, drawn) => {
    ctx.strokeStyle = colours.wrong;
    ctx.lineWidth = 2;
    ctx.beginPath();
    for (const { row, segment } of drawn) {
      if (log.notes[log.ring.note[row % RING_SIZE]]?.[1] === "delivered") continue;
      const x = (segment[0] + segment[2]) / 2;
      const y = (segment[1] + segment[3]) / 2;
      ctx.moveTo(x - 4, y - 4);
      ctx.lineTo(x + 4, y + 4);
      ctx.moveTo(x + 4, y - 4);
      ctx.lineTo(x - 4, y + 4);
    }
    ctx.stroke();
  };

  const findMessage = (point) => findNearest(point, lines, ({ segment }) => segment)?.row ?? -1;
  const findBar = ([x, y]) =>
    bars.findLast(
      ({ left, right, top, bottom }) =>
        x >= left - 1 && x <= right + 1 && y >= top - 1 && y <= bottom + 1
    );

  const describeExecution = (slot) => {
    const { begin, end } = log.executions;
    return Number.isFinite(end[slot]) ? formatDuration(end[slot] - begin[slot]) : "";
  };

  const describeHovered = (point) => {
    const row = findMessage(point);
    if (row >= 0) {
      const { source, target, channel, kind, bytes, latency } = log.describe(row);
      return [
        `${kind} ${channel}`,
        `${source} → ${target}`,
        `${formatBytes(bytes)}, ${formatFlight(latency)}`
      ];
    }
    const bar = findBar(point);
    if (!bar) return null;
    const { target, source, channel } = log.flows[log.executions.flow[bar.slot]];
    return [
      `${target}.${channel} at work`,
      describeExecution(bar.slot) || "not answered yet",
      `for ${source}`
    ];
  };

  // Show a message below the diagram; nothing if it is not kept any more.
  const select = (row) => {
    selected = row;
    details.replaceChildren();
    details.hidden = row < log.first;
    if (details.hidden) return;
    const message = log.describe(row);
    const { source, target, channel, kind, sent, latency } = message;
    const fields = {
      message: `${kind} ${channel}`,
      from: source,
      to: target,
      call: message.call || "–",
      size: `${formatCount(message.bytes)} B`,
      sent: `${sent.toFixed(6)} s`,
      received: latency
        ? `${(sent + latency).toFixed(6)} s, ${formatDuration(latency)} later`
        : "at once, within one process",
      link: message.link,
      outcome: message.outcome
    };
    const slot = log.executions.row.subarray(0, log.executionSlots).lastIndexOf(row);
    if (slot >= 0) {
      const duration = describeExecution(slot);
      fields["at work"] = duration ? `${duration}, until its answer was sent` : "not answered yet";
    }
    fields["sent by"] =
      message.line || (message.isReply ? "the end of its handler" : "the testbed");
    for (const [name, text] of Object.entries(fields))
      details.append(tag("dt", {}, name), tag("dd", {}, String(text)));
    view.announce(`${kind} ${channel} from ${source} to ${target}, ${formatBytes(message.bytes)}`);
  };

  // Show more or less time; the time at `x` stays where it is.
  const zoom = (factor, x) => {
    const [begin, end] = visibleSpan();
    const share = clamp((x - GUTTER_PX) / (stage.width - GUTTER_PX - RIGHT_MARGIN_PX), 0, 1);
    const before = end - begin;
    chosenSeconds = clamp(before * factor, 1e-5, Math.max(10, 1.2 * clock.duration));
    if (!clock.live) clock.seek(begin + share * before + (1 - share) * chosenSeconds);
    scheduleDraw();
  };
  stage.canvas.addEventListener(
    "wheel",
    (event) => {
      if (event.offsetX < GUTTER_PX) return;
      event.preventDefault();
      zoom(Math.exp(event.deltaY * 0.002), event.offsetX);
    },
    { passive: false }
  );
  stage.canvas.addEventListener("pointerdown", (event) => {
    drag = { x: event.offsetX, time: clock.time, moved: false };
    stage.canvas.setPointerCapture(event.pointerId);
  });
  stage.canvas.addEventListener("pointermove", (event) => {
    if (!drag || (Math.abs(event.offsetX - drag.x) < 4 && !drag.moved)) return;
    drag.moved = true;
    const [begin, end] = visibleSpan();
    const share = (event.offsetX - drag.x) / (stage.width - GUTTER_PX);
    clock.seek(drag.time - share * (end - begin));
    scheduleDraw();
  });
  stage.canvas.addEventListener("pointerup", () => {
    if (drag && !drag.moved && stage.pointer) {
      const row = findMessage(stage.pointer);
      select(row >= 0 ? row : (findBar(stage.pointer)?.row ?? -1));
      scheduleDraw();
    }
    drag = null;
  });
  const tools = tag(
    "div",
    { class: "tools" },
    button("+", "zoom in", () => zoom(0.5, stage.width)),
    button("−", "zoom out", () => zoom(2, stage.width)),
    button("all", "show the whole time", () => {
      chosenSeconds = Math.max(1e-3, 1.02 * clock.duration);
      clock.seek(clock.end);
      scheduleDraw();
    })
  );
  const element = tag("div", { class: "lanesbox" }, tools, stage.box, details);
  return { name: "space-time", title: "Space-time", element, stage, draw, animated: true };
}

function addArrowHead(ctx, [ax, ay, bx, by]) {
  if (Math.hypot(bx - ax, by - ay) < 8) return;
  const angle = Math.atan2(by - ay, bx - ax);
  for (const turn of [-0.4, 0.4]) {
    ctx.moveTo(bx, by);
    ctx.lineTo(bx - 6 * Math.cos(angle + turn), by - 6 * Math.sin(angle + turn));
  }
}
