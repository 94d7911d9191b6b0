// What was aggregated: per round who contributed when and with what weight; of many aggregators, whose model reached whom.

const OUTCOMES = { arrived: "event", stale: "task", late: "wrong", dropped: "wrong", failed: "wrong", busy: "faint" };
const STEPS = 400; // rounds kept of an aggregator

// The contributions that a page knows, by aggregator and round.
class Rounds {
  constructor() { this.clear(); }

  clear() { Object.assign(this, { targets: new Map(), distances: [] }); }

  take({ parts = [], distances = [] }) {
    this.distances.push(...distances);
    if (this.distances.length > 4000) this.distances = this.distances.filter((_, number) => number % 2);
    for (const [time, target, step, source, weight, age, outcome] of parts) {
      if (!this.targets.has(target)) this.targets.set(target, new Map());
      const steps = this.targets.get(target);
      if (!steps.has(step)) steps.set(step, { step, time, parts: [] });
      steps.get(step).parts.push({ source, weight, age, outcome });
      if (steps.size > STEPS) steps.delete(steps.keys().next().value);
    }
  }
}

function roundsTab(view, log, rounds, palette, changed) {
  const stage = new Stage(view, 300);
  stage.canvas.setAttribute("aria-label", "contributions to each round");
  const choice = tag("select", { class: "aggregator", "aria-label": "aggregator", onchange: () => { wanted = choice.value; step = null; changed(); } });
  const said = tag("span", { class: "round" });
  const move = (by) => { const all = [...(rounds.targets.get(target) ?? new Map()).keys()]; step = all[clamp(all.indexOf(step ?? all.at(-1)) + by, 0, all.length - 1)]; changed(); };
  const back = tag("button", { title: "round before", "aria-label": "round before", onclick: () => move(-1) }, "◀");
  const next = tag("button", { title: "next round", "aria-label": "next round", onclick: () => move(1) }, "▶");
  const last = tag("button", { title: "follow the last round", onclick: () => { step = null; changed(); } }, "last");
  const element = tag("div", {}, tag("div", { class: "timeline" }, choice, back, next, last, said), stage.box);
  let wanted = null; // the aggregator that was chosen; "" for all
  let target = "";
  let step = null; // the round that was chosen; the last one unless
  let cells = [];

  const fill = () => {
    const names = [...rounds.targets.keys()].sort(naturally);
    if (choice.childElementCount !== names.length + 1) {
      choice.replaceChildren(tag("option", { value: "" }, "all aggregators"), ...names.map((name) => tag("option", { value: name }, name)));
    }
    target = wanted ?? (names.length === 1 ? names[0] : "");
    choice.value = target;
    for (const button of [back, next, last]) button.hidden = !target;
  };

  // The training that a contribution came from: when it began and ended at its client.
  const training = (source, time) => {
    let found = null;
    for (let slot = 0; slot < Math.min(log.worked, WORKS); slot += 1) {
      const flow = log.flows[log.works.flow[slot]];
      if (flow.source !== target || flow.target !== source || flow.kind !== "task" || log.works.begin[slot] > time) continue;
      if (!found || log.works.begin[slot] > found[0]) found = [log.works.begin[slot], log.works.end[slot]];
    }
    return found;
  };

  const name = (pen, text, x, y, wide) => {
    pen.textAlign = "left";
    pen.fillStyle = palette.ink;
    pen.fillText(text, x, y + 4, wide);
  };

  const drawRound = () => {
    const steps = [...rounds.targets.get(target).values()];
    const sources = [...new Set(steps.slice(-60).flatMap(({ parts }) => parts.map(({ source }) => source)))].sort(naturally);
    const round = steps.find((one) => one.step === step) ?? steps.at(-1);
    const high = clamp(380 / sources.length, 5, 24);
    const small = clamp(72 / sources.length, 2, 9);
    const top = sources.length * small + 44;
    stage.resize(Math.max(220, top + sources.length * high + 34));
    const pen = stage.begin();
    cells = drawOverview(pen, steps.slice(-Math.floor((stage.wide - GUTTER) / (small + 3))), sources, small, round);
    const times = new Map(round.parts.map((part) => [part.source, training(part.source, round.time)]));
    const known = [...times.values()].filter(Boolean);
    const begin = Math.min(round.time, ...known.map(([start]) => start));
    const right = stage.wide - 150;
    const scale = (right - GUTTER) / Math.max(1e-9, round.time - begin) / 1.04;
    const across = (time) => GUTTER + (Math.min(time, round.time + 0.04 * (round.time - begin)) - begin) * scale;
    const most = Math.max(1e-9, ...round.parts.map(({ weight }) => weight ?? 0));
    sources.forEach((source, place) => {
      const y = top + (place + 0.5) * high;
      if (place % 2 === 0) { pen.fillStyle = palette.raised; pen.fillRect(0, y - high / 2, stage.wide, high); }
      if (high >= 11) name(pen, source, 8, y, GUTTER - 16);
      const part = round.parts.find((one) => one.source === source);
      if (!part) return;
      const span = times.get(source);
      pen.fillStyle = palette[OUTCOMES[part.outcome]];
      pen.globalAlpha = 0.75;
      if (span) pen.fillRect(across(span[0]), y - high * 0.32, Math.max(2, across(span[1]) - across(span[0])), high * 0.64);
      pen.fillRect(right + 8, y - high * 0.3, 60 * ((part.weight ?? 0) / most), high * 0.6);
      pen.globalAlpha = 1;
      if (high < 11) return;
      const words = part.weight === null ? part.outcome : `${(100 * part.weight).toPrecision(3)} %${part.age === null ? "" : ` · ${age(part)}`}`;
      pen.fillStyle = palette.ink;
      pen.fillText(words, right + (part.weight === null ? 8 : 74), y + 4);
    });
    pen.strokeStyle = palette.ink;
    pen.setLineDash([4, 3]);
    pen.beginPath(); pen.moveTo(across(round.time), top - 6); pen.lineTo(across(round.time), top + sources.length * high); pen.stroke();
    pen.setLineDash([]);
    pen.fillStyle = palette.faint;
    pen.fillText("weight", right + 8, top - 8);
    pen.fillText(known.length ? `training, ${duration(round.time - begin)} in all` : "", GUTTER, top - 8);
    inWords(round, times);
  };

  const age = ({ age: its, outcome }) => (outcome === "stale" ? `${its} rounds late` : `age ${its}`);

  // One column per round, one row per client.
  const drawOverview = (pen, steps, sources, small, round) => {
    name(pen, "all rounds", 8, 12, GUTTER - 16);
    return steps.map((one, place) => {
      const x = GUTTER + place * (small + 3);
      for (const part of one.parts) {
        const row = sources.indexOf(part.source);
        pen.fillStyle = palette[OUTCOMES[part.outcome]];
        pen.fillRect(x, 8 + row * small, small + 2, small - 0.6);
      }
      if (one === round) { pen.strokeStyle = palette.ink; pen.lineWidth = 1.5; pen.strokeRect(x - 1.5, 6, small + 5, sources.length * small + 3); }
      return { x, step: one.step };
    });
  };

  const inWords = (round, times) => {
    const counts = {};
    for (const { outcome } of round.parts) counts[outcome] = (counts[outcome] ?? 0) + 1;
    const words = Object.entries(counts).map(([outcome, count]) => `${count} ${outcome}`);
    const ends = round.parts.filter(({ weight }) => weight !== null).map(({ source }) => [times.get(source)?.[1] ?? 0, source]).sort((one, other) => one[0] - other[0]);
    const [before, final] = ends.slice(-2);
    if (final?.[0]) words.push(`waited for ${final[1]}, ${duration(final[0] - before[0])} after the one before`);
    said.textContent = `round ${round.step}: ${words.join(", ")}`;
    Object.assign(stage.canvas.dataset, { round: round.step, parts: round.parts.length });
  };

  // Rows have merged, columns are whose models; the number is how often, the age that of the last one.
  const drawReach = () => {
    const targets = [...rounds.targets.keys()].sort(naturally);
    const node = (role) => role.split("/")[0];
    const nodes = [...new Set([...targets, ...targets.flatMap((one) => [...rounds.targets.get(one).values()].flatMap(({ parts }) => parts.map(({ source }) => source)))].map(node))].sort(naturally);
    const size = clamp(400 / Math.max(1, nodes.length), 3, 38);
    const top = 84;
    stage.resize(Math.max(240, top + targets.length * size + 20));
    const pen = stage.begin();
    const left = 110;
    let most = 1;
    const found = targets.map((one) => {
      const row = new Map();
      let own = 0;
      for (const { parts } of rounds.targets.get(one).values()) {
        for (const { source, age: its } of parts) {
          const cell = row.get(node(source)) ?? { count: 0 };
          row.set(node(source), { count: cell.count + 1, age: its });
          own = Math.max(own, its ?? 0);
          if (node(source) !== node(one)) most = Math.max(most, cell.count + 1);
        }
      }
      return [one, row, own];
    });
    const oldest = Math.max(1, ...found.map(([, , own]) => own));
    found.forEach(([one, row, own], number) => {
      const y = top + number * size;
      if (size >= 10) name(pen, node(one), 8, y + size / 2, left - 16);
      nodes.forEach((source, place) => {
        const cell = row.get(source);
        const mine = source === node(one);
        pen.globalAlpha = !cell ? 1 : mine ? 0.35 : 0.15 + 0.85 * (cell.count / most);
        pen.fillStyle = !cell ? palette.raised : mine ? palette.faint : palette.event;
        pen.fillRect(left + place * size, y, size - 0.7, size - 0.7);
        pen.globalAlpha = 1;
        if (!cell || size < 22) return;
        pen.fillStyle = palette.ink;
        pen.textAlign = "center";
        pen.fillText(cell.count, left + (place + 0.5) * size, y + size / 2 + 4);
      });
      const bar = left + nodes.length * size + 24;
      pen.fillStyle = palette.accent;
      pen.fillRect(bar, y + size * 0.2, (150 * own) / oldest, size * 0.6);
      if (size >= 10) name(pen, String(own), bar + (150 * own) / oldest + 6, y + size / 2, 60);
    });
    if (size >= 10) {
      nodes.forEach((source, place) => {
        pen.save(); pen.translate(left + (place + 0.5) * size, top - 6); pen.rotate(-Math.PI / 4); name(pen, source, 0, -4, 90); pen.restore();
      });
    }
    name(pen, "age", left + nodes.length * size + 24, top - 12, 60);
    drawDistances(pen, left + nodes.length * size + 250, top);
    said.textContent = "how often a model of each node (columns) went into that of each (rows)";
    Object.assign(stage.canvas.dataset, { round: "", parts: targets.length });
  };

  const drawDistances = (pen, left, top) => {
    const all = rounds.distances.filter(([, value]) => value > 0);
    const wide = stage.wide - left - 20;
    if (all.length < 2 || wide < 80) return;
    const logs = all.map(([, value]) => Math.log10(value));
    const [low, high, begin, end] = [Math.min(...logs), Math.max(...logs), all[0][0], all.at(-1)[0]];
    name(pen, `consensus distance: ${all.at(-1)[1].toPrecision(3)}`, left, top - 12, wide);
    pen.strokeStyle = palette.accent;
    pen.lineWidth = 2;
    pen.beginPath();
    all.forEach(([time], number) => pen.lineTo(left + (wide * (time - begin)) / Math.max(1e-9, end - begin), top + 8 + 110 * (1 - (logs[number] - low) / Math.max(1e-9, high - low))));
    pen.stroke();
  };

  stage.canvas.addEventListener("pointerdown", (event) => {
    const cell = cells.findLast(({ x }) => event.offsetX >= x - 2);
    if (target && cell && event.offsetY < 84) { step = cell.step; changed(); }
  });

  const draw = () => {
    fill();
    cells = [];
    if (target && rounds.targets.has(target)) drawRound();
    else if (rounds.targets.size) drawReach();
    else {
      name(stage.begin(), "nothing was aggregated yet", 8, 30, 400);
      said.textContent = "";
    }
  };
  return { name: "aggregation", title: "Aggregation", element, stage, draw, animated: false };
}
