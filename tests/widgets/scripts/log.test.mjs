// The log of messages that a page keeps, without a page.

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  add,
  duration,
  grouped,
  Log,
  latency,
  RING
} from "../../../roleml_nb/widgets/traffic/log.js";

const FLOWS = [
  ["a/x", "b/y", "work", "task"],
  ["b/y", "a/x", "work", "reply"],
  ["a/actor", "b/actor", "assign-role", "task"]
];

const bytesOf = (array) => new DataView(array.buffer);

// A batch as the kernel sends it; rows are [flow, call, sent, latency, bytes].
function batch(rows, { flows = [], totals = [], now = 0 } = {}) {
  const column = (Type, place) => bytesOf(Type.from(rows.map((row) => row[place])));
  const buffers = [
    column(Uint32Array, 0),
    column(Uint32Array, 1),
    bytesOf(Uint16Array.from(rows.map(() => 0))),
    column(Float64Array, 2),
    column(Float32Array, 3),
    column(Float64Array, 4),
    bytesOf(Uint32Array.from(totals.map(([flow]) => flow))),
    bytesOf(Float64Array.from(totals.flatMap(([, ...numbers]) => numbers)))
  ];
  return [{ flows, notes: [["direct", "delivered", ""]], every: 1, gone: 0, now }, buffers];
}

test("flows, nodes and totals come with a batch", () => {
  const log = new Log();
  log.take(...batch([[0, 7, 1, 0.25, 100]], { flows: FLOWS, totals: [[0, 3, 300, 0.75, 1]] }));
  assert.deepEqual(log.nodes, ["a", "b"]);
  assert.equal(log.head, 1);
  assert.equal(log.flows[0].messages, 3);
  assert.equal(log.flows[0].travelled, 3);
  assert.equal(latency(log.flows[0]), "250 ms");
  assert.equal(log.end, 1.25);
  assert.deepEqual(log.describe(0), {
    source: "a/x",
    target: "b/y",
    channel: "work",
    kind: "task",
    answer: false,
    call: 7,
    bytes: 100,
    link: "direct",
    outcome: "delivered",
    line: "",
    sent: 1,
    latency: 0.25
  });
});

test("a handler is at work from its call's arrival until its answer is sent", () => {
  const log = new Log();
  log.take(...batch([[0, 7, 1, 0.25, 10]], { flows: FLOWS }));
  assert.equal(log.atWork([true, false, false]), true);
  log.take(...batch([[1, 7, 3, 0.25, 10]]));
  assert.equal(log.atWork([true, false, false]), false);
  assert.equal(log.works.begin[0], 1.25);
  assert.equal(log.works.end[0], 3);
});

test("an answer that is told before its call leaves nobody at work", () => {
  const log = new Log();
  log.take(...batch([[1, 7, 3, 0.25, 10]], { flows: FLOWS }));
  log.take(...batch([[0, 7, 1, 0.25, 10]]));
  assert.equal(log.atWork([true, true, true]), false);
});

test("messages that steer the testbed begin no earlier than those of roles", () => {
  const log = new Log();
  log.take(
    ...batch(
      [
        [2, 0, 1, 0, 1],
        [0, 0, 2, 0, 1]
      ],
      { flows: FLOWS }
    )
  );
  assert.deepEqual(log.begins, [2, 1]);
});

test("the ring keeps the last messages, and finds by time", () => {
  const log = new Log();
  const rows = Array.from({ length: 1000 }, (_, place) => [0, 0, place, 0, 1]);
  log.take(...batch(rows, { flows: FLOWS }));
  for (let time = 1; time <= RING / 1000; time += 1) {
    log.take(...batch(rows.map(([flow, call, sent]) => [flow, call, sent + 1000 * time, 0, 1])));
  }
  assert.equal(log.head, RING + 1000);
  assert.equal(log.first, 1000);
  assert.equal(log.begins[0], 1000);
  assert.equal(log.find(5000), 5000);
  assert.equal(log.find(0), log.first);
});

test("sums of flows", () => {
  const sums = new Map();
  const flow = { messages: 2, bytes: 10, seconds: 1, travelled: 2, lost: 0 };
  add(sums, "k", flow, { from: 0 });
  assert.deepEqual(add(sums, "k", flow, {}), {
    from: 0,
    messages: 4,
    bytes: 20,
    seconds: 2,
    travelled: 4,
    lost: 0
  });
});

test("durations and numbers in words", () => {
  const words = [Number.NaN, 1e-7, 2.5e-5, 0.0123, 1.5, 250].map(duration);
  assert.deepEqual(words, ["–", "< 1 µs", "25 µs", "12.3 ms", "1.50 s", "250 s"]);
  assert.equal(grouped(1234567), "1,234,567");
});
