// What was aggregated: the rounds of one aggregator, or of all, whose model went into whose.

import { clamp, tag } from "../../base/common.js";
import { describeAge, describeRound, findTraining, nodeOf, sourcesOf } from "../contributions.js";
import { compareNaturally, formatDuration, formatPercent } from "../format.js";
import { findCell, GUTTER_PX, layoutRounds } from "../geometry.js";
import {
  button,
  colourDot,
  drawLine,
  drawSlanted,
  drawText,
  fillBox,
  option,
  Stage,
  strokeBox
} from "../stage.js";

/**
 * The theme's colour of each outcome of a contribution.
 * @type {Record<string, string>}
 */
const OUTCOME_COLOURS = {
  arrived: "event",
  stale: "task",
  late: "wrong",
  dropped: "wrong",
  failed: "wrong",
  busy: "faint"
};
const RECENT_ROUNDS = 60; // whose sources get a row
const MIN_TEXT_PX = 11;
const WEIGHTS_PX = 210; // of the canvas, right of the trainings
const COLUMN_GAP_PX = 3;
const NAMES_PX = 124; // left of the matrix
const AGES_PX = 150; // right of the matrix, of the longest bar
const MAX_MERGED_CELL_PX = 38;
const MIN_NAMED_MERGED_CELL_PX = 10;
const MIN_NUMBERED_MERGED_CELL_PX = 22;
const OVERVIEW_PX = 84; // below it, a press chooses no round

/**
 * Make the tab of aggregation.
 * @param {import("../traffic.js").TabContext} context
 * @returns {import("../traffic.js").Tab}
 */
export function aggregationTab({ view, log, contributions, colours, scheduleDraw }) {
  const stage = new Stage(view, 300, "contributions to each round");
  const selectAggregator = (name) => {
    selected = name;
    selectStep(null);
  };
  const selectStep = (value) => {
    step = value;
    scheduleDraw();
  };
  const moveStep = (by) => {
    const steps = [...(contributions.rounds.get(aggregator) ?? new Map()).keys()];
    const index = steps.indexOf(step ?? steps.at(-1)) + by;
    selectStep(steps[clamp(index, 0, steps.length - 1)]);
  };
  const choice = tag("select", {
    class: "aggregator",
    "aria-label": "aggregator",
    onchange: () => selectAggregator(choice.value)
  });
  const message = tag("span", { class: "round" });
  const outcomes = tag("span", { class: "outcomes" });
  const buttons = [
    button("◀", "round before", () => moveStep(-1)),
    button("▶", "next round", () => moveStep(1)),
    button("last", "follow the last round", () => selectStep(null))
  ];
  const element = tag(
    "div",
    {},
    tag("div", { class: "timeline" }, choice, ...buttons, message, outcomes),
    stage.box
  );
  let selected = null; // aggregator; "" for all
  let aggregator = ""; // that is shown; "" for all
  let step = null; // of the round that was selected; null for the last one
  let columns = []; // rounds as they were drawn last
  let rows = []; // aggregators as they were drawn last
  let optionNames = "";

  const updateControls = () => {
    const names = [...contributions.rounds.keys()].sort(compareNaturally);
    if (optionNames !== names.join()) {
      optionNames = names.join();
      choice.replaceChildren(option("", "all aggregators"), ...names.map((name) => option(name)));
    }
    aggregator = selected ?? (names.length === 1 ? names[0] : "");
    if (!contributions.rounds.has(aggregator)) aggregator = "";
    choice.value = aggregator;
    choice.hidden = !names.length;
    for (const control of [...buttons, outcomes]) control.hidden = !aggregator;
  };

  const drawOne = () => {
    const rounds = [...contributions.rounds.get(aggregator).values()];
    const round = rounds.find((candidate) => candidate.step === step) ?? rounds.at(-1);
    const drawn = drawRounds(stage, log, colours, aggregator, rounds, round);
    columns = drawn.columns;
    stage.showTip(null);
    const tasks = log.flows.filter(({ kind, source }) => kind === "task" && source === aggregator);
    const asked = new Set(tasks.map(({ target }) => target));
    message.textContent = describeRound(round, drawn.trainings, asked);
    const occurring = new Set();
    for (const { parts } of rounds) for (const { outcome } of parts) occurring.add(outcome);
    outcomes.replaceChildren();
    for (const [name, colour] of Object.entries(OUTCOME_COLOURS))
      if (occurring.has(name)) outcomes.append(tag("span", {}, colourDot(colour), ` ${name}`));
    Object.assign(stage.canvas.dataset, { round: round.step, parts: round.parts.length });
  };

  // Draw a matrix: rows have merged, columns are whose models; the number is how often.
  const drawAll = () => {
    const names = [...contributions.rounds.keys()].sort(compareNaturally);
    const found = names.map((name) => ({ name, ...contributions.mergedBy(name) }));
    const owners = new Set(names.map(nodeOf));
    const sources = new Set(owners);
    let most = 1;
    for (const { name, cells } of found)
      for (const [source, { count }] of cells) {
        sources.add(source);
        if (source !== nodeOf(name)) most = Math.max(most, count);
      }
    const nodes = [...sources].sort(compareNaturally);
    const size = clamp(400 / Math.max(1, nodes.length), 3, MAX_MERGED_CELL_PX);
    const named = size >= MIN_NAMED_MERGED_CELL_PX;
    const left = NAMES_PX;
    const top = named ? 84 : 24;
    stage.resize(Math.max(160, top + names.length * size + 16));
    const ctx = stage.clear();
    rows = found.map(({ name }, index) => ({ name, top: top + index * size, height: size }));
    found.forEach(({ name, cells }, row) => {
      const y = top + row * size;
      if (named)
        drawText(
          ctx,
          owners.size === names.length ? nodeOf(name) : name,
          left - 8,
          y + size / 2 + 4,
          {
            fill: colours.ink,
            align: "right",
            width: left - 14
          }
        );
      nodes.forEach((source, column) => {
        const cell = cells.get(source);
        const own = source === nodeOf(name);
        const share = own ? 0 : (cell?.count ?? 0) / most;
        const x = left + column * size;
        const colour = own ? "faint" : "event";
        if (cell) ctx.globalAlpha = own ? 0.35 : 0.15 + 0.85 * share;
        fillBox(ctx, colours[cell ? colour : "raised"], x, y, size - 0.7, size - 0.7);
        ctx.globalAlpha = 1;
        if (cell && size >= MIN_NUMBERED_MERGED_CELL_PX)
          drawText(ctx, cell.count, x + size / 2, y + size / 2 + 4, {
            fill: share > 0.6 ? colours.ground : colours.ink,
            align: "center"
          });
      });
    });
    if (named)
      nodes.forEach((node, column) => {
        const style = { fill: colours.ink, width: 90 };
        drawSlanted(ctx, node, left + (column + 0.5) * size, top - 6, style);
      });
    const right = left + nodes.length * size + 24;
    const hasAges = drawAges(ctx, found, right, top, size);
    drawDistances(ctx, hasAges ? right + AGES_PX + 76 : right + 20, top);
    drawHovered(ctx, found, nodes, { left, top, size });
    message.textContent =
      "how often a model of each node (columns) went into that of each (rows);" +
      " point at one for more, click on a row for its rounds";
    Object.assign(stage.canvas.dataset, { round: "", parts: names.length });
  };

  // Draw the largest age that each aggregator has merged; false if no contribution has an age.
  const drawAges = (ctx, found, left, top, size) => {
    const ages = found.map(({ oldest }) => oldest);
    if (ages.every((age) => age === null)) return false;
    const most = Math.max(1, ...ages);
    drawText(ctx, "age: trainings seen", left, top - 8, { fill: colours.faint });
    ages.forEach((age, index) => {
      const y = top + index * size;
      const length = (AGES_PX * (age ?? 0)) / most;
      fillBox(ctx, colours.accent, left, y + size * 0.2, length, size * 0.6);
      if (size >= MIN_NAMED_MERGED_CELL_PX && age !== null)
        drawText(ctx, age, left + length + 6, y + size / 2 + 4, { fill: colours.ink });
    });
    return true;
  };

  const drawHovered = (ctx, found, nodes, { left, top, size }) => {
    const matrix = { left, top, size, columns: nodes.length, rows: found.length };
    const place = findCell(stage.pointer, matrix);
    if (!place) {
      stage.showTip(null);
      return;
    }
    const [column, row] = place;
    strokeBox(ctx, colours.ink, left + column * size, top + row * size, size, size);
    const { name, cells } = found[row];
    const cell = cells.get(nodes[column]);
    const lines = [`${nodes[column]} → ${name}`];
    if (cell) {
      const weight = cell.weight === null ? "" : `, ${formatPercent(cell.weight)}`;
      lines.push(`${cell.count} times`, `last: ${cell.outcome}${weight}${describeAge(cell)}`);
    } else lines.push("never");
    stage.showTip(lines);
  };

  const drawDistances = (ctx, left, top) => {
    const shown = contributions.distances.filter(([, value]) => value > 0);
    const width = stage.width - left - 20;
    if (shown.length < 2 || width < 80) return;
    const logarithms = shown.map(([, value]) => Math.log10(value));
    const low = Math.min(...logarithms);
    const high = Math.max(...logarithms);
    const [begin, first] = shown[0];
    const [end, last] = shown.at(-1);
    const text = `consensus distance (log): ${first.toPrecision(2)} → ${last.toPrecision(2)}`;
    drawText(ctx, text, left, top - 8, { fill: colours.faint, width });
    /** @type {(item: [number, number], index: number) => [number, number]} */
    const toPoint = ([time], index) => [
      left + (width * (time - begin)) / Math.max(1e-9, end - begin),
      top + 8 + 110 * (1 - (logarithms[index] - low) / Math.max(1e-9, high - low))
    ];
    drawLine(ctx, colours.accent, 2, ...shown.map(toPoint));
  };

  stage.canvas.addEventListener("pointerdown", ({ offsetX: x, offsetY: y }) => {
    if (aggregator) {
      const column = y < OVERVIEW_PX && columns.findLast((candidate) => x >= candidate.x - 2);
      if (column) selectStep(column.step);
    } else {
      const row = rows.find(({ top, height }) => y >= top && y < top + height);
      if (row) selectAggregator(row.name);
    }
  });

  const draw = () => {
    updateControls();
    columns = [];
    rows = [];
    if (aggregator) drawOne();
    else if (contributions.rounds.size) drawAll();
    else {
      stage.resize(60);
      drawText(
        stage.clear(),
        "Nothing was aggregated yet. Aggregators of the library say whose models go into theirs;" +
          " a role of yours may emit contributions, too.",
        8,
        30,
        { fill: colours.faint, width: stage.width - 16 }
      );
      message.textContent = "";
    }
  };
  return {
    name: "aggregation",
    title: "Aggregation",
    element,
    stage,
    draw,
    animated: false,
    unfiltered: true
  };
}

/**
 * Draw the rounds of an aggregator: all of them as columns, and one in detail, with who contributed
 * when and with what weight.
 * @param {import("../stage.js").Stage} stage
 * @param {import("../log.js").Log} log
 * @param {import("../stage.js").Colours} colours
 * @param {string} aggregator "node/role"
 * @param {import("../contributions.js").Round[]} rounds
 * @param {import("../contributions.js").Round} round the one in detail
 * @returns {{columns: {x: number, step: number}[],
 *   trainings: Map<string, import("../contributions.js").Training | null>}} where each round is
 *   drawn, and the trainings of the one in detail by source
 */
function drawRounds(stage, log, colours, aggregator, rounds, round) {
  const sources = sourcesOf(rounds.slice(-RECENT_ROUNDS));
  const layout = layoutRounds(sources.length);
  stage.resize(layout.height);
  const ctx = stage.clear();
  const most = Math.floor((stage.width - GUTTER_PX) / (layout.overviewRow + COLUMN_GAP_PX));
  const columns = drawOverview(ctx, colours, rounds.slice(-most), sources, layout, round);
  const trainings = new Map();
  for (const { source } of round.parts)
    trainings.set(source, findTraining(log, aggregator, source, round.time));
  drawRound(ctx, stage.width, colours, sources, layout, round, trainings);
  return { columns, trainings };
}

// Draw one column per round, one row per source; what has no part in the model is a thin line.
function drawOverview(ctx, colours, rounds, sources, { overviewRow }, round) {
  drawText(ctx, "all rounds", 8, 16, { fill: colours.ink });
  const columns = [];
  for (const { step, parts } of rounds) {
    const x = GUTTER_PX + columns.length * (overviewRow + COLUMN_GAP_PX);
    for (const { source, weight, outcome } of parts) {
      const height = (overviewRow - 0.6) * (weight === null ? 0.4 : 1);
      const y = 8 + sources.indexOf(source) * overviewRow + (overviewRow - 0.6 - height) / 2;
      fillBox(ctx, colours[OUTCOME_COLOURS[outcome]], x, y, overviewRow + 2, height);
    }
    if (step === round.step)
      strokeBox(ctx, colours.ink, x - 1.5, 6, overviewRow + 5, sources.length * overviewRow + 3);
    columns.push({ x, step });
  }
  return columns;
}

// Draw a row per source: a bar for its training, until the model was aggregated, and one for its
// weight.
function drawRound(ctx, width, colours, sources, { row, top }, round, trainings) {
  const begins = [...trainings.values()].filter(Boolean).map(([begin]) => begin);
  const begin = Math.min(round.time, ...begins);
  const weightsLeft = begins.length ? width - WEIGHTS_PX : GUTTER_PX;
  const weightsWidth = width - weightsLeft - 150;
  const scale = (weightsLeft - GUTTER_PX) / Math.max(1e-9, round.time - begin) / 1.04;
  const toX = (time) =>
    GUTTER_PX + (Math.min(time, round.time + 0.04 * (round.time - begin)) - begin) * scale;
  const most = Math.max(1e-9, ...round.parts.map(({ weight }) => weight ?? 0));
  const readable = row >= MIN_TEXT_PX;
  sources.forEach((source, index) => {
    const y = top + (index + 0.5) * row;
    if (index % 2 === 0) fillBox(ctx, colours.raised, 0, y - row / 2, width, row);
    const part = round.parts.find((candidate) => candidate.source === source);
    if (readable)
      drawText(ctx, source, 8, y + 4, {
        fill: part ? colours.ink : colours.faint,
        width: GUTTER_PX - 16
      });
    if (!part) {
      if (readable)
        drawText(ctx, "not in this round", weightsLeft + 8, y + 4, { fill: colours.faint });
      return;
    }
    const training = trainings.get(source);
    const colour = colours[OUTCOME_COLOURS[part.outcome]];
    ctx.globalAlpha = 0.75;
    if (training) {
      const [left, right] = training.map(toX);
      fillBox(ctx, colour, left, y - row * 0.32, Math.max(2, right - left), row * 0.64);
    }
    const length = weightsWidth * ((part.weight ?? 0) / most);
    fillBox(ctx, colour, weightsLeft + 8, y - row * 0.3, length, row * 0.6);
    ctx.globalAlpha = 1;
    const text =
      part.weight === null ? part.outcome : formatPercent(part.weight) + describeAge(part);
    if (readable) drawText(ctx, text, weightsLeft + length + 14, y + 4, { fill: colours.ink });
  });
  drawText(ctx, "weight in the model", weightsLeft + 8, top - 8, { fill: colours.faint });
  if (!begins.length) return;
  const end = toX(round.time);
  ctx.setLineDash([4, 3]);
  drawLine(ctx, colours.ink, 1.5, [end, top - 6], [end, top + sources.length * row]);
  ctx.setLineDash([]);
  const duration = formatDuration(round.time - begin);
  drawText(ctx, `at work until aggregated (dashed): ${duration}`, GUTTER_PX, top - 8, {
    fill: colours.faint
  });
}
