// The contributions to models that a traffic view knows, and what it concludes from them.

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  Contributions,
  describeAge,
  describeRound,
  findTraining,
  sourcesOf
} from "../../../roleml_nb/widgets/traffic/contributions.js";
import { Log } from "../../../roleml_nb/widgets/traffic/log.js";

const SERVER = "server/aggregator";

// A contribution as the kernel sends it.
const part = (
  step,
  source,
  { time = step, weight = 0.5, age = null, outcome = "arrived" } = {}
) => [time, SERVER, step, source, weight, age, outcome];

test("contributions are kept by aggregator and round, the last rounds only", () => {
  const contributions = new Contributions();
  contributions.addBatch({ parts: [part(1, "a/t"), part(1, "b/t")] });
  assert.deepEqual(contributions.rounds.get(SERVER).get(1), {
    step: 1,
    time: 1,
    parts: [
      { source: "a/t", weight: 0.5, age: null, outcome: "arrived" },
      { source: "b/t", weight: 0.5, age: null, outcome: "arrived" }
    ]
  });
  for (let step = 2; step <= 500; step += 1) contributions.addBatch({ parts: [part(step, "a/t")] });
  const steps = [...contributions.rounds.get(SERVER).keys()];
  assert.deepEqual([steps.length, steps[0], steps.at(-1)], [400, 101, 500]);
});

test("of too many distances, every second one is kept", () => {
  const contributions = new Contributions();
  const distances = Array.from({ length: 4001 }, (_, index) => [index, 1]);
  contributions.addBatch({ distances });
  assert.equal(contributions.distances.length, 2000);
});

test("what an aggregator has merged, by node", () => {
  const contributions = new Contributions();
  contributions.addBatch({
    parts: [
      part(1, "a/t", { age: 2 }),
      part(2, "a/u", { age: 1 }),
      part(2, "b/t", { age: 9, outcome: "stale" })
    ]
  });
  const { cells, oldest } = contributions.mergedBy(SERVER);
  assert.deepEqual([cells.get("a").count, cells.get("a").age, cells.get("b").count], [2, 1, 1]);
  assert.equal(oldest, 2);
});

test("the training of a contribution is the last one that was asked for before", () => {
  const log = new Log();
  log.addFlow(SERVER, "a/t", "train", "task");
  log.addFlow("a/t", SERVER, "train", "reply");
  for (const [call, begin] of [
    [1, 1],
    [2, 3],
    [3, 9]
  ]) {
    log.addExecution(0, call, begin, 0);
    log.addExecution(1, call, begin + 1, 0);
  }
  assert.deepEqual(findTraining(log, SERVER, "a/t", 5), [3, 4]);
  assert.equal(findTraining(log, SERVER, "b/t", 5), null);
});

test("ages in words", () => {
  assert.equal(describeAge({ age: null, outcome: "arrived" }), "");
  assert.equal(describeAge({ age: 3, outcome: "arrived" }), " · age 3");
  assert.equal(describeAge({ age: 1, outcome: "stale" }), " · 1 round late");
});

test("a round in words says whom it waited for", () => {
  const merged = (source) => ({ source, weight: 0.5, age: null, outcome: "arrived" });
  const late = { source: "c/t", weight: null, age: null, outcome: "late" };
  const round = { step: 7, time: 9, parts: [merged("a/t"), merged("b/t"), late] };
  const asked = new Set(["a/t", "b/t", "c/t"]);
  const trainings = new Map([
    ["a/t", [1, 4.5]],
    ["b/t", [1, 3]],
    ["c/t", null]
  ]);
  assert.equal(
    describeRound(round, trainings, asked),
    "round 7: 2 arrived, 1 late, waited for a/t, 1.50 s after the one before"
  );
  trainings.set("b/t", null);
  assert.equal(
    describeRound(round, trainings, asked),
    "round 7: 2 arrived, 1 late, whom it waited for is not known:" +
      " not all of its messages are kept in this page"
  );
  assert.equal(describeRound(round, new Map(), new Set()), "round 7: 2 arrived, 1 late");
});

test("the sources of rounds, in order", () => {
  const rounds = [{ step: 1, time: 1, parts: [{ source: "n10/t" }, { source: "n9/t" }] }];
  assert.deepEqual(sourcesOf(rounds), ["n9/t", "n10/t"]);
});
