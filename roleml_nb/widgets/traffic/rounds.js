// What was aggregated: per round who contributed when and with what weight; of many aggregators,
// whose model reached whom.

import { clamp, tag } from "../base/common.js";
import { GUTTER } from "./lanes.js";
import { duration, naturally, WORKS } from "./log.js";
import { box, button, outline, Stage, write } from "./stage.js";

const OUTCOMES = {
  arrived: "event",
  stale: "task",
  late: "wrong",
  dropped: "wrong",
  failed: "wrong",
  busy: "faint"
};
const STEPS = 400; // rounds kept of an aggregator

// The contributions that a page knows, by aggregator and round.
export class Rounds {
  constructor() {
    this.clear();
  }

  clear() {
    Object.assign(this, { targets: new Map(), distances: [] });
  }

  take({ parts = [], distances = [] }) {
    this.distances.push(...distances);
    if (this.distances.length > 4000)
      this.distances = this.distances.filter((_, number) => number % 2);
    for (const [time, target, step, source, weight, age, outcome] of parts) {
      if (!this.targets.has(target)) this.targets.set(target, new Map());
      const steps = this.targets.get(target);
      if (!steps.has(step)) steps.set(step, { step, time, parts: [] });
      steps.get(step).parts.push({ source, weight, age, outcome });
      if (steps.size > STEPS) steps.delete(steps.keys().next().value);
    }
  }
}

const percent = (weight) => `${(100 * weight).toPrecision(3)} %`;

function ageInWords({ age, outcome }) {
  return age === null
    ? ""
    : outcome === "stale"
      ? ` · ${age} round${age === 1 ? "" : "s"} late`
      : ` · age ${age}`;
}

export function roundsTab(view, log, rounds, palette, changed) {
  const stage = new Stage(view, 300);
  stage.canvas.setAttribute("aria-label", "contributions to each round");
  const choice = tag("select", {
    class: "aggregator",
    "aria-label": "aggregator",
    onchange: () => choose(choice.value)
  });
  const said = tag("span", { class: "round" });
  const outcomes = tag("span", { class: "outcomes" });
  const choose = (name) => {
    wanted = name;
    step = null;
    changed();
  };
  const move = (by) => {
    const all = [...(rounds.targets.get(target) ?? new Map()).keys()];
    step = all[clamp(all.indexOf(step ?? all.at(-1)) + by, 0, all.length - 1)];
    changed();
  };
  const buttons = [
    button("◀", "round before", () => move(-1)),
    button("▶", "next round", () => move(1)),
    button("last", "follow the last round", () => {
      step = null;
      changed();
    })
  ];
  const element = tag(
    "div",
    {},
    tag("div", { class: "timeline" }, choice, ...buttons, said, outcomes),
    stage.box
  );
  let wanted = null; // the aggregator that was chosen; "" for all
  let target = "";
  let step = null; // the round that was chosen; the last one unless
  let cells = [];
  let names = "";

  const fill = () => {
    const all = [...rounds.targets.keys()].sort(naturally);
    if (names !== all.join()) {
      names = all.join();
      choice.replaceChildren(
        tag("option", { value: "" }, "all aggregators"),
        ...all.map((name) => tag("option", { value: name }, name))
      );
    }
    target = wanted ?? (all.length === 1 ? all[0] : "");
    if (!rounds.targets.has(target)) target = "";
    choice.value = target;
    choice.hidden = !all.length;
    for (const one of buttons) one.hidden = !target;
    outcomes.hidden = !target;
  };

  // The training that a contribution came from: when it began and ended at its client.
  const training = (source, time) => {
    let found = null;
    for (let slot = 0; slot < Math.min(log.worked, WORKS); slot += 1) {
      const flow = log.flows[log.works.flow[slot]];
      if (
        flow.source !== target ||
        flow.target !== source ||
        flow.kind !== "task" ||
        log.works.begin[slot] > time
      )
        continue;
      if (!found || log.works.begin[slot] > found[0])
        found = [log.works.begin[slot], log.works.end[slot]];
    }
    return found;
  };

  const drawRound = () => {
    const steps = [...rounds.targets.get(target).values()];
    const sources = [
      ...new Set(steps.slice(-60).flatMap(({ parts }) => parts.map(({ source }) => source)))
    ].sort(naturally);
    const round = steps.find((one) => one.step === step) ?? steps.at(-1);
    const high = clamp(380 / sources.length, 5, 24);
    const small = clamp(72 / sources.length, 2, 9);
    const top = sources.length * small + 44;
    stage.resize(top + sources.length * high + 16);
    const pen = stage.begin();
    cells = drawOverview(
      pen,
      steps.slice(-Math.floor((stage.wide - GUTTER) / (small + 3))),
      sources,
      small,
      round
    );
    const times = new Map(
      round.parts.map((part) => [part.source, training(part.source, round.time)])
    );
    const known = [...times.values()].filter(Boolean);
    const begin = Math.min(round.time, ...known.map(([start]) => start));
    const right = known.length ? stage.wide - 210 : GUTTER; // where weights begin
    const long = stage.wide - right - 150;
    const scale = (right - GUTTER) / Math.max(1e-9, round.time - begin) / 1.04;
    const across = (time) =>
      GUTTER + (Math.min(time, round.time + 0.04 * (round.time - begin)) - begin) * scale;
    const most = Math.max(1e-9, ...round.parts.map(({ weight }) => weight ?? 0));
    sources.forEach((source, place) => {
      const y = top + (place + 0.5) * high;
      if (place % 2 === 0) box(pen, palette.raised, 0, y - high / 2, stage.wide, high);
      const part = round.parts.find((one) => one.source === source);
      if (high >= 11)
        write(pen, source, 8, y + 4, {
          fill: part ? palette.ink : palette.faint,
          wide: GUTTER - 16
        });
      if (!part) {
        if (high >= 11) write(pen, "not in this round", right + 8, y + 4, { fill: palette.faint });
        return;
      }
      const span = times.get(source);
      const colour = palette[OUTCOMES[part.outcome]];
      pen.globalAlpha = 0.75;
      if (span)
        box(
          pen,
          colour,
          across(span[0]),
          y - high * 0.32,
          Math.max(2, across(span[1]) - across(span[0])),
          high * 0.64
        );
      const weight = long * ((part.weight ?? 0) / most);
      box(pen, colour, right + 8, y - high * 0.3, weight, high * 0.6);
      pen.globalAlpha = 1;
      if (high >= 11)
        write(
          pen,
          part.weight === null ? part.outcome : percent(part.weight) + ageInWords(part),
          right + weight + 14,
          y + 4,
          { fill: palette.ink }
        );
    });
    write(pen, "weight in the model", right + 8, top - 8, { fill: palette.faint });
    if (known.length) {
      pen.setLineDash([4, 3]);
      outline(
        pen,
        palette.ink,
        1.5,
        [across(round.time), top - 6],
        [across(round.time), top + sources.length * high]
      );
      pen.setLineDash([]);
      write(
        pen,
        `at work until aggregated (dashed): ${duration(round.time - begin)}`,
        GUTTER,
        top - 8,
        { fill: palette.faint }
      );
    }
    inWords(
      round,
      times,
      new Set(steps.flatMap(({ parts }) => parts.map(({ outcome }) => outcome)))
    );
  };

  // One column per round, one row per client; what has no part in the model is a thin line.
  const drawOverview = (pen, steps, sources, small, round) => {
    write(pen, "all rounds", 8, 16, { fill: palette.ink });
    return steps.map((one, place) => {
      const x = GUTTER + place * (small + 3);
      for (const { source, weight, outcome } of one.parts) {
        const high = (small - 0.6) * (weight === null ? 0.4 : 1);
        box(
          pen,
          palette[OUTCOMES[outcome]],
          x,
          8 + sources.indexOf(source) * small + (small - 0.6 - high) / 2,
          small + 2,
          high
        );
      }
      if (one === round) {
        pen.strokeStyle = palette.ink;
        pen.lineWidth = 1.5;
        pen.strokeRect(x - 1.5, 6, small + 5, sources.length * small + 3);
      }
      return { x, step: one.step };
    });
  };

  const inWords = (round, times, occur) => {
    const counts = {};
    for (const { outcome } of round.parts) counts[outcome] = (counts[outcome] ?? 0) + 1;
    const words = Object.entries(counts).map(([outcome, count]) => `${count} ${outcome}`);
    const givers = round.parts.filter(({ weight }) => weight !== null).map(({ source }) => source);
    const ends = givers
      .map((source) => [times.get(source)?.[1], source])
      .sort((one, other) => one[0] - other[0]);
    const [before, final] = ends.slice(-2);
    if (final && ends.every(([end]) => end))
      words.push(`waited for ${final[1]}, ${duration(final[0] - before[0])} after the one before`);
    else if (
      ends.length > 1 &&
      log.flows.some(
        ({ kind, source, target: to }) =>
          kind === "task" && source === target && givers.includes(to)
      )
    ) {
      words.push("whom it waited for is not known: not all of its messages are kept in this page");
    }
    said.textContent = `round ${round.step}: ${words.join(", ")}`;
    outcomes.replaceChildren(
      ...Object.keys(OUTCOMES)
        .filter((name) => occur.has(name))
        .map((name) =>
          tag(
            "span",
            {},
            tag("i", { class: "dot", style: `background:var(--${OUTCOMES[name]})` }),
            ` ${name}`
          )
        )
    );
    Object.assign(stage.canvas.dataset, { round: round.step, parts: round.parts.length });
  };

  // What went into each aggregator so far, by the nodes that gave it.
  const reach = (targets, node) =>
    targets.map((one) => {
      const row = new Map();
      let oldest = null;
      for (const { parts } of rounds.targets.get(one).values()) {
        for (const part of parts) {
          row.set(node(part.source), {
            ...part,
            count: (row.get(node(part.source))?.count ?? 0) + 1
          });
          if (part.age !== null && part.outcome !== "stale") oldest = Math.max(oldest, part.age);
        }
      }
      return { one, row, oldest };
    });

  // Rows have merged, columns are whose models; the number is how often.
  const drawReach = () => {
    const targets = [...rounds.targets.keys()].sort(naturally);
    const node = (role) => role.split("/")[0];
    const found = reach(targets, node);
    const nodes = [
      ...new Set([...targets.map(node), ...found.flatMap(({ row }) => [...row.keys()])])
    ].sort(naturally);
    const label = new Set(targets.map(node)).size === targets.length ? node : (one) => one;
    const size = clamp(400 / Math.max(1, nodes.length), 3, 38);
    const [left, top, named] = [124, size < 10 ? 24 : 84, size >= 10];
    stage.resize(Math.max(160, top + targets.length * size + 16));
    const pen = stage.begin();
    const most = Math.max(
      1,
      ...found.flatMap(({ one, row }) =>
        [...row].filter(([source]) => source !== node(one)).map(([, { count }]) => count)
      )
    );
    found.forEach(({ one, row }, number) => {
      const y = top + number * size;
      if (named)
        write(pen, label(one), left - 8, y + size / 2 + 4, {
          fill: palette.ink,
          align: "right",
          wide: left - 14
        });
      nodes.forEach((source, place) => {
        const cell = row.get(source);
        const mine = source === node(one);
        const share = mine ? 0 : (cell?.count ?? 0) / most;
        pen.globalAlpha = !cell ? 1 : mine ? 0.35 : 0.15 + 0.85 * share;
        box(
          pen,
          !cell ? palette.raised : mine ? palette.faint : palette.event,
          left + place * size,
          y,
          size - 0.7,
          size - 0.7
        );
        pen.globalAlpha = 1;
        if (cell && size >= 22)
          write(pen, cell.count, left + (place + 0.5) * size, y + size / 2 + 4, {
            fill: share > 0.6 ? palette.ground : palette.ink,
            align: "center"
          });
      });
    });
    if (named) {
      nodes.forEach((source, place) => {
        pen.save();
        pen.translate(left + (place + 0.5) * size, top - 6);
        pen.rotate(-Math.PI / 4);
        write(pen, source, 0, 0, { fill: palette.ink, wide: 90 });
        pen.restore();
      });
    }
    const bar = left + nodes.length * size + 24;
    const aged = drawAges(pen, found, bar, top, size);
    drawDistances(pen, bar + (aged ? 226 : 20), top);
    hover(pen, found, nodes, left, top, size);
    said.textContent =
      "how often a model of each node (columns) went into that of each (rows);" +
      " point at one for more, click on a row for its rounds";
    Object.assign(stage.canvas.dataset, { round: "", parts: targets.length });
  };

  const drawAges = (pen, found, left, top, size) => {
    if (found.every(({ oldest }) => oldest === null)) return false;
    const most = Math.max(1, ...found.map(({ oldest }) => oldest ?? 0));
    write(pen, "age: trainings seen", left, top - 8, { fill: palette.faint });
    found.forEach(({ oldest }, number) => {
      const y = top + number * size;
      const long = (150 * (oldest ?? 0)) / most;
      box(pen, palette.accent, left, y + size * 0.2, long, size * 0.6);
      if (size >= 10 && oldest !== null)
        write(pen, oldest, left + long + 6, y + size / 2 + 4, { fill: palette.ink });
    });
    return true;
  };

  const hover = (pen, found, nodes, left, top, size) => {
    const [place, number] = stage.pointer
      ? [(stage.pointer[0] - left) / size, (stage.pointer[1] - top) / size].map(Math.floor)
      : [-1, -1];
    cells = found.map(({ one }, row) => ({ top: top + row * size, high: size, one }));
    if (!found[number] || !nodes[place]) {
      stage.say(null);
      return;
    }
    pen.strokeStyle = palette.ink;
    pen.lineWidth = 1.5;
    pen.strokeRect(left + place * size, top + number * size, size, size);
    const cell = found[number].row.get(nodes[place]);
    stage.say([
      `${nodes[place]} → ${found[number].one}`,
      ...(cell
        ? [
            `${cell.count} times`,
            `last: ${cell.outcome}` +
              (cell.weight === null ? "" : `, ${percent(cell.weight)}`) +
              ageInWords(cell)
          ]
        : ["never"])
    ]);
  };

  const drawDistances = (pen, left, top) => {
    const all = rounds.distances.filter(([, value]) => value > 0);
    const wide = stage.wide - left - 20;
    if (all.length < 2 || wide < 80) return;
    const logs = all.map(([, value]) => Math.log10(value));
    const [low, high, begin, end] = [
      Math.min(...logs),
      Math.max(...logs),
      all[0][0],
      all.at(-1)[0]
    ];
    write(
      pen,
      `consensus distance (log): ${all[0][1].toPrecision(2)} → ${all.at(-1)[1].toPrecision(2)}`,
      left,
      top - 8,
      { fill: palette.faint, wide }
    );
    outline(
      pen,
      palette.accent,
      2,
      ...all.map(([time], number) => [
        left + (wide * (time - begin)) / Math.max(1e-9, end - begin),
        top + 8 + 110 * (1 - (logs[number] - low) / Math.max(1e-9, high - low))
      ])
    );
  };

  stage.canvas.addEventListener("pointerdown", ({ offsetX: x, offsetY: y }) => {
    if (target) {
      const cell = y < 84 && cells.findLast((one) => x >= one.x - 2);
      if (cell) {
        step = cell.step;
        changed();
      }
    } else {
      const row = cells.find((one) => y >= one.top && y < one.top + one.high);
      if (row) choose(row.one);
    }
  });

  const draw = () => {
    fill();
    cells = [];
    if (target) {
      stage.say(null);
      drawRound();
    } else if (rounds.targets.size) drawReach();
    else {
      stage.resize(60);
      write(
        stage.begin(),
        "Nothing was aggregated yet. Aggregators of the library say whose models go into theirs;" +
          " a role of yours may emit contributions, too.",
        8,
        30,
        { fill: palette.faint, wide: stage.wide - 16 }
      );
      said.textContent = "";
    }
  };
  return { name: "aggregation", title: "Aggregation", element, stage, draw, animated: false };
}
