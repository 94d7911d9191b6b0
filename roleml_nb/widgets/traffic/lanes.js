// The space-time diagram: a lane per node, messages as lines from one to another, handlers at work
// as bars.

import { clamp, tag } from "../base/common.js";
import { SLOWEST, toSegment } from "./graph.js";
import { duration, grouped, KINDS, naturally, onTheWay, RING, WORKS } from "./log.js";
import { box, button, bytes, outline, Stage, write } from "./stage.js";

export const GUTTER = 172; // px for the names of nodes
const LINES = 6000; // messages drawn at once

export function lanesTab(view, log, filter, clock, palette, changed) {
  const stage = new Stage(view, 460);
  stage.canvas.classList.add("lanes");
  stage.canvas.setAttribute(
    "aria-label",
    "messages and handlers over time; wheel to zoom, drag to pan"
  );
  const details = tag("dl", { class: "details", hidden: true });
  let span = null; // seconds that are seen; all of them unless chosen
  let chosen = -1;
  let drawn = { rows: [], bars: [] };
  let drag = null;

  const window_ = () => {
    const whole = Math.max(1e-6, clock.end - clock.begin);
    const seen = span ?? (clock.canLive ? Math.min(5, Math.max(1, whole)) : whole);
    const still = clock.live && !log.atWork(filter.flows); // then what happened last stays in sight
    const end = still ? Math.min(clock.at, log.lastOf(filter.flows) + seen / 4) : clock.at;
    return [end - seen, end];
  };
  const across = (time, [begin, end]) =>
    GUTTER + ((time - begin) / (end - begin)) * (stage.wide - GUTTER - 10);

  // Nodes in order, each with its roles one below the other.
  const lanes = () => {
    const nodes = new Map();
    filter.flows.forEach((shown, number) => {
      if (!shown) return;
      for (const end of [log.flows[number].source, log.flows[number].target]) {
        const [node, role] = end.split("/");
        if (!nodes.has(node)) nodes.set(node, new Set());
        nodes.get(node).add(role);
      }
    });
    const names = [...nodes.keys()].sort(naturally);
    const count = [...nodes.values()].reduce((sum, roles) => sum + roles.size, 0);
    const each = clamp(560 / Math.max(1, count), 1.5, 28); // of a role
    const at = new Map();
    let top = 4;
    for (const node of names) {
      const roles = [...nodes.get(node)].sort();
      roles.forEach((role, number) => {
        at.set(`${node}/${role}`, top + each * (number + 0.5));
      });
      at.set(node, { top, high: each * roles.length, roles });
      top += each * roles.length;
    }
    return { names, at, each, high: top + 30 };
  };

  const draw = () => {
    const { names, at, each, high: needed } = lanes();
    stage.resize(Math.max(200, needed));
    const seen = window_();
    const pen = stage.begin();
    drawLanes(pen, names, at, each);
    drawAxis(pen, seen);
    pen.save();
    pen.beginPath();
    pen.rect(GUTTER, 0, stage.wide - GUTTER, stage.high - 24);
    pen.clip();
    const bars = drawBars(pen, seen, at, each);
    const rows = drawLines(pen, seen, at);
    pen.restore();
    drawn = { rows, bars };
    stage.canvas.dataset.lines = rows.length;
    stage.canvas.dataset.bars = bars.length;
    hover();
  };

  const drawLanes = (pen, names, at, each) => {
    pen.textBaseline = "middle";
    names.forEach((node, place) => {
      if (place % 2 === 0)
        box(pen, palette.raised, 0, at.get(node).top, stage.wide, at.get(node).high);
    });
    names.forEach((node, place) => {
      const { top, high, roles } = at.get(node);
      if (high < 13 && place % Math.ceil(13 / high)) return;
      const small = each < 12;
      write(pen, node, 8, small ? top + high / 2 : at.get(`${node}/${roles[0]}`), {
        fill: palette.ink,
        bold: small ? "" : "600",
        wide: small ? GUTTER - 12 : 74
      });
      if (small) return;
      for (const role of roles)
        write(pen, role, GUTTER - 8, at.get(`${node}/${role}`), {
          fill: palette.faint,
          align: "right",
          size: 11,
          wide: GUTTER - 92
        });
    });
    pen.textBaseline = "alphabetic";
  };

  const drawAxis = (pen, seen) => {
    pen.strokeStyle = palette.line;
    pen.lineWidth = 1;
    const step = niceStep((seen[1] - seen[0]) / Math.max(2, (stage.wide - GUTTER) / 110));
    const digits = Math.max(0, Math.ceil(-Math.log10(step) - 1e-9));
    pen.beginPath();
    for (let time = Math.ceil(seen[0] / step) * step; time <= seen[1]; time += step) {
      const x = across(time, seen);
      pen.moveTo(x, 2);
      pen.lineTo(x, stage.high - 22);
      if (x > GUTTER + 12 && x < stage.wide - 24)
        write(pen, `${time.toFixed(digits)} s`, x, stage.high - 8, {
          fill: palette.faint,
          align: "center",
          size: 11
        });
    }
    pen.globalAlpha = 0.6;
    pen.stroke();
    pen.globalAlpha = 1;
  };

  const drawBars = (pen, seen, at, each) => {
    const { begin, end, flow, row } = log.works;
    const found = [];
    pen.globalAlpha = 0.42;
    for (let slot = 0; slot < Math.min(log.worked, WORKS); slot += 1) {
      const until = Math.min(end[slot], clock.at);
      if (begin[slot] > seen[1] || until < seen[0] || !filter.flows[flow[slot]]) continue;
      const { target, colour } = log.flows[flow[slot]];
      const middle = at.get(target);
      const high = clamp(each * 0.6, 1.2, 14);
      const [left, right] = [across(Math.max(begin[slot], seen[0]), seen), across(until, seen)];
      box(pen, palette.kind(colour), left, middle - high / 2, Math.max(0.7, right - left), high);
      found.push({
        left,
        right: Math.max(left + 2, right),
        top: middle - high / 2,
        high,
        slot,
        row: row[slot]
      });
    }
    pen.globalAlpha = 1;
    return found;
  };

  const drawLines = (pen, seen, at) => {
    const rows = [];
    const shown = filter.flows;
    for (let row = log.find(seen[0] - SLOWEST - 0.3); row < log.head; row += 1) {
      const slot = row % RING;
      const sent = log.ring.sent[slot];
      if (sent > seen[1] + 0.3) break;
      if (shown[log.ring.flow[slot]] && sent <= seen[1] && sent + log.ring.latency[slot] >= seen[0])
        rows.push(row);
    }
    const every = Math.ceil(rows.length / LINES);
    const some = every > 1 ? rows.filter((row) => row % every === 0) : rows;
    stage.canvas.dataset.every = every;
    const ends = some.map((row) => {
      const slot = row % RING;
      const { source, target } = log.flows[log.ring.flow[slot]];
      const sent = log.ring.sent[slot];
      return [
        across(sent, seen),
        at.get(source),
        across(sent + log.ring.latency[slot], seen),
        at.get(target)
      ];
    });
    const heads = some.length < 400;
    KINDS.forEach((_, colour) => {
      pen.strokeStyle = palette.kind(colour);
      pen.fillStyle = pen.strokeStyle;
      for (const wide of [0, 1]) {
        pen.globalAlpha = some.length > 1500 ? 0.35 : 0.85;
        pen.lineWidth = wide ? 2 : 1;
        pen.beginPath();
        some.forEach((row, place) => {
          const slot = row % RING;
          if (
            log.flows[log.ring.flow[slot]].colour !== colour ||
            log.ring.bytes[slot] > 10000 !== Boolean(wide)
          )
            return;
          const [ax, ay, bx, by] = ends[place];
          pen.moveTo(ax, ay);
          pen.lineTo(bx, by);
          if (heads) arrow(pen, ax, ay, bx, by);
        });
        pen.stroke();
      }
    });
    pen.globalAlpha = 1;
    drawLost(pen, some, ends);
    const place = some.indexOf(chosen);
    if (place >= 0) {
      const [ax, ay, bx, by] = ends[place];
      outline(pen, palette.ink, 3, [ax, ay], [bx, by]);
    }
    return some.map((row, number) => [row, ...ends[number]]);
  };

  const drawLost = (pen, rows, ends) => {
    pen.strokeStyle = palette.wrong;
    pen.lineWidth = 2;
    pen.beginPath();
    rows.forEach((row, place) => {
      if (log.notes[log.ring.note[row % RING]]?.[1] === "delivered") return;
      const [x, y] = [(ends[place][0] + ends[place][2]) / 2, (ends[place][1] + ends[place][3]) / 2];
      pen.moveTo(x - 4, y - 4);
      pen.lineTo(x + 4, y + 4);
      pen.moveTo(x + 4, y - 4);
      pen.lineTo(x - 4, y + 4);
    });
    pen.stroke();
  };

  const rowAt = ([x, y]) => {
    let best = -1;
    let nearest = 6;
    for (const [row, ...ends] of drawn.rows) {
      const far = toSegment(x, y, ...ends);
      if (far < nearest) {
        nearest = far;
        best = row;
      }
    }
    return best;
  };
  const barAt = ([x, y]) =>
    drawn.bars.findLast(
      ({ left, right, top, high }) =>
        x >= left - 1 && x <= right + 1 && y >= top - 1 && y <= top + high + 1
    );

  const hover = () => {
    if (!stage.pointer || drag?.moved) {
      stage.say(null);
      return;
    }
    const row = rowAt(stage.pointer);
    if (row >= 0) {
      const { source, target, channel, kind, bytes: size, latency } = log.describe(row);
      stage.say([
        `${kind} ${channel}`,
        `${source} → ${target}`,
        `${bytes(size)}, ${onTheWay(latency)}`
      ]);
      return;
    }
    const bar = barAt(stage.pointer);
    if (!bar) {
      stage.say(null);
      return;
    }
    const { target, source, channel } = log.flows[log.works.flow[bar.slot]];
    const until = log.works.end[bar.slot];
    stage.say([
      `${target}.${channel} at work`,
      Number.isFinite(until) ? duration(until - log.works.begin[bar.slot]) : "not answered yet",
      `for ${source}`
    ]);
  };

  const show = (row) => {
    chosen = row;
    details.hidden = row < log.first;
    if (details.hidden) {
      details.replaceChildren();
      return;
    }
    const {
      source,
      target,
      channel,
      kind,
      answer,
      call,
      bytes: size,
      link,
      outcome,
      line,
      sent,
      latency
    } = log.describe(row);
    const lines = {
      message: `${kind} ${channel}`,
      from: source,
      to: target,
      call: call || "–",
      size: `${grouped(size)} B`,
      sent: `${sent.toFixed(6)} s`,
      received: latency
        ? `${(sent + latency).toFixed(6)} s, ${duration(latency)} later`
        : "at once, within one process",
      link,
      outcome
    };
    for (let slot = 0; slot < Math.min(log.worked, WORKS); slot += 1) {
      if (log.works.row[slot] !== row) continue;
      const { begin, end } = log.works;
      lines["at work"] = Number.isFinite(end[slot])
        ? `${duration(end[slot] - begin[slot])}, until its answer was sent`
        : "not answered yet";
    }
    details.replaceChildren(
      ...Object.entries(lines).flatMap(([name, text]) => [
        tag("dt", {}, name),
        tag("dd", {}, String(text))
      ]),
      tag("dt", {}, "sent by"),
      tag("dd", {}, line || (answer ? "the end of its handler" : "the testbed"))
    );
    view.announce(`${kind} ${channel} from ${source} to ${target}, ${bytes(size)}`);
  };

  const zoom = (factor, x) => {
    const seen = window_();
    const share = clamp((x - GUTTER) / (stage.wide - GUTTER - 10), 0, 1);
    const before = seen[1] - seen[0];
    span = clamp(before * factor, 1e-5, Math.max(10, 1.2 * (clock.end - clock.begin)));
    if (!clock.live) clock.seek(seen[0] + share * before + (1 - share) * span);
    changed();
  };
  stage.canvas.addEventListener(
    "wheel",
    (event) => {
      if (event.offsetX < GUTTER) return;
      event.preventDefault();
      zoom(Math.exp(event.deltaY * 0.002), event.offsetX);
    },
    { passive: false }
  );
  stage.canvas.addEventListener("pointerdown", (event) => {
    drag = { x: event.offsetX, at: clock.at, moved: false };
    stage.canvas.setPointerCapture(event.pointerId);
  });
  stage.canvas.addEventListener("pointermove", (event) => {
    if (!drag || (Math.abs(event.offsetX - drag.x) < 4 && !drag.moved)) return;
    drag.moved = true;
    const seen = window_();
    clock.seek(drag.at - ((event.offsetX - drag.x) / (stage.wide - GUTTER)) * (seen[1] - seen[0]));
    changed();
  });
  stage.canvas.addEventListener("pointerup", () => {
    if (drag && !drag.moved && stage.pointer) {
      const row = rowAt(stage.pointer);
      const bar = barAt(stage.pointer);
      show(row >= 0 ? row : bar ? bar.row : -1);
      stage.dirty = true;
    }
    drag = null;
  });
  const tools = tag(
    "div",
    { class: "tools" },
    button("+", "zoom in", () => zoom(0.5, stage.wide)),
    button("−", "zoom out", () => zoom(2, stage.wide)),
    button("all", "show the whole time", () => {
      span = Math.max(1e-3, 1.02 * (clock.end - clock.begin));
      clock.seek(clock.end);
      changed();
    })
  );
  const element = tag("div", { class: "lanesbox" }, tools, stage.box, details);
  return { name: "space-time", title: "Space-time", element, stage, draw, animated: true };
}

function arrow(pen, ax, ay, bx, by) {
  const angle = Math.atan2(by - ay, bx - ax);
  if (Math.hypot(bx - ax, by - ay) < 8) return;
  for (const turn of [-0.4, 0.4]) {
    pen.moveTo(bx, by);
    pen.lineTo(bx - 6 * Math.cos(angle + turn), by - 6 * Math.sin(angle + turn));
  }
}

// 1, 2 or 5 times a power of ten, at least as large.
function niceStep(size) {
  const power = 10 ** Math.floor(Math.log10(size));
  return [1, 2, 5, 10].map((times) => times * power).find((step) => step >= size) ?? 10 * power;
}
