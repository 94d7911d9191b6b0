// The rounds of one aggregator: all of them as columns, and one in detail, with who contributed
// when and with what weight.

import { clamp } from "../base/common.js";
import { describeAge, findTraining } from "./contributions.js";
import { compareNaturally, formatDuration, formatPercent } from "./format.js";
import { GUTTER_PX } from "./geometry.js";
import { drawLine, drawText, fillBox, strokeBox } from "./stage.js";

/**
 * The theme's colour of each outcome of a contribution.
 * @type {Record<string, string>}
 */
export const OUTCOME_COLOURS = {
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

/**
 * Draw the rounds of an aggregator.
 * @param {import("./stage.js").Stage} stage
 * @param {import("./log.js").Log} log
 * @param {import("./stage.js").Colours} colours
 * @param {string} aggregator "node/role"
 * @param {import("./contributions.js").Round[]} rounds
 * @param {import("./contributions.js").Round} round the one in detail
 * @returns {{columns: {x: number, step: number}[],
 *   trainings: Map<string, import("./contributions.js").Training | null>}} where each round is
 *   drawn, and the trainings of the one in detail by source
 */
export function drawRounds(stage, log, colours, aggregator, rounds, round) {
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

/**
 * Return the sources of rounds, in order.
 * @param {import("./contributions.js").Round[]} rounds
 * @returns {string[]}
 */
export function sourcesOf(rounds) {
  const sources = new Set();
  for (const { parts } of rounds) for (const { source } of parts) sources.add(source);
  return [...sources].sort(compareNaturally);
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
