// The contributions to models that a page knows, by aggregator and round, and what can be concluded
// from them.

import { compareNaturally, formatDuration } from "./format.js";

const MAX_ROUNDS = 400; // of an aggregator
const MAX_DISTANCES = 4000;

/**
 * What one source has given to one round of an aggregator.
 * @typedef {object} Part
 * @property {string} source
 * @property {number | null} weight in the model; null where it did not get into the model
 * @property {number | null} age
 * @property {string} outcome
 */

/** @typedef {{step: number, time: number, parts: Part[]}} Round */
/** @typedef {[number, number]} Training when the training of a part began and ended */

/** The last rounds of each aggregator, and the consensus distances of gossip. */
export class Contributions {
  constructor() {
    this.clear();
  }

  clear() {
    /** @type {Map<string, Map<number, Round>>} */
    this.rounds = new Map(); // by aggregator and step
    /** @type {[number, number][]} */
    this.distances = []; // time and value
  }

  /**
   * Add those of a batch.
   * @param {{parts?: any[][], distances?: [number, number][]}} batch
   */
  addBatch({ parts = [], distances = [] }) {
    this.distances.push(...distances);
    if (this.distances.length > MAX_DISTANCES)
      this.distances = this.distances.filter((_, index) => index % 2);
    for (const [time, aggregator, step, source, weight, age, outcome] of parts) {
      if (!this.rounds.has(aggregator)) this.rounds.set(aggregator, new Map());
      const rounds = this.rounds.get(aggregator);
      if (!rounds.has(step)) rounds.set(step, { step, time, parts: [] });
      rounds.get(step).parts.push({ source, weight, age, outcome });
      if (rounds.size > MAX_ROUNDS) rounds.delete(rounds.keys().next().value);
    }
  }

  /**
   * Return what an aggregator has merged so far, by the nodes that gave it.
   * @param {string} aggregator
   * @returns {{cells: Map<string, Part & {count: number}>, oldest: number | null}} the last part of
   *   each node with the number of its parts, and the largest age of all
   */
  mergedBy(aggregator) {
    const cells = new Map();
    let oldest = null;
    for (const { parts } of this.rounds.get(aggregator).values()) {
      for (const part of parts) {
        const node = nodeOf(part.source);
        cells.set(node, { ...part, count: (cells.get(node)?.count ?? 0) + 1 });
        if (part.age !== null && part.outcome !== "stale") oldest = Math.max(oldest, part.age);
      }
    }
    return { cells, oldest };
  }
}

/**
 * Return the node of a role.
 * @param {string} address "node/role"
 * @returns {string}
 */
export function nodeOf(address) {
  return address.split("/")[0];
}

/**
 * Return the sources of rounds, in order.
 * @param {Round[]} rounds
 * @returns {string[]}
 */
export function sourcesOf(rounds) {
  const sources = new Set();
  for (const { parts } of rounds) for (const { source } of parts) sources.add(source);
  return [...sources].sort(compareNaturally);
}

/**
 * Return the last training that an aggregator had asked a source for at a time; null if the log
 * does not have it any more.
 * @param {import("./log.js").Log} log
 * @param {string} aggregator
 * @param {string} source
 * @param {number} time
 * @returns {Training | null}
 */
export function findTraining(log, aggregator, source, time) {
  /** @type {Training | null} */
  let found = null;
  const { flow, begin, end } = log.executions;
  for (let slot = 0; slot < log.executionSlots; slot += 1) {
    const { source: caller, target, kind } = log.flows[flow[slot]];
    if (caller !== aggregator || target !== source || kind !== "task" || begin[slot] > time)
      continue;
    if (!found || begin[slot] > found[0]) found = [begin[slot], end[slot]];
  }
  return found;
}

/**
 * Return the age of a part in words, to be appended to a line; "" if it has none.
 * @param {Part} part
 * @returns {string}
 */
export function describeAge({ age, outcome }) {
  if (age === null) return "";
  return outcome === "stale" ? ` · ${age} round${age === 1 ? "" : "s"} late` : ` · age ${age}`;
}

/**
 * Return a round in words: how many parts had which outcome, and whom it waited for.
 * @param {Round} round
 * @param {Map<string, Training | null>} trainings by source
 * @param {Set<string>} asked sources that the aggregator asks to train
 * @returns {string}
 */
export function describeRound(round, trainings, asked) {
  const counts = {};
  for (const { outcome } of round.parts) counts[outcome] = (counts[outcome] ?? 0) + 1;
  const words = Object.entries(counts).map(([outcome, count]) => `${count} ${outcome}`);
  const merged = round.parts.filter(({ weight }) => weight !== null);
  const ends = merged
    .map(({ source }) => ({ source, end: trainings.get(source)?.[1] }))
    .sort((one, other) => one.end - other.end);
  const [before, last] = ends.slice(-2);
  if (last && ends.every(({ end }) => end))
    words.push(
      `waited for ${last.source}, ${formatDuration(last.end - before.end)} after the one before`
    );
  else if (last && merged.some(({ source }) => asked.has(source)))
    words.push("whom it waited for is not known: not all of its messages are kept in this page");
  return `round ${round.step}: ${words.join(", ")}`;
}
