// The log of messages that a page keeps, without a page.

import assert from "node:assert/strict";
import { test } from "node:test";

import { formatLatency } from "../../../roleml_nb/widgets/traffic/format.js";
import {
  addToSums,
  Log,
  pairKey,
  RING_SIZE,
  sumFlows,
  sumPairs
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
  log.addBatch(...batch([[0, 7, 1, 0.25, 100]], { flows: FLOWS, totals: [[0, 3, 300, 0.75, 1]] }));
  assert.deepEqual(log.nodes, ["a", "b"]);
  assert.equal(log.head, 1);
  assert.equal(log.flows[0].messages, 3);
  assert.equal(log.flows[0].travelled, 3);
  assert.equal(formatLatency(log.flows[0]), "250 ms");
  assert.equal(log.end, 1.25);
  assert.deepEqual(log.describe(0), {
    source: "a/x",
    target: "b/y",
    channel: "work",
    kind: "task",
    isReply: false,
    call: 7,
    bytes: 100,
    link: "direct",
    outcome: "delivered",
    line: "",
    sent: 1,
    latency: 0.25
  });
});

test("a handler executes from its call's arrival until its reply is sent", () => {
  const log = new Log();
  log.addBatch(...batch([[0, 7, 1, 0.25, 10]], { flows: FLOWS }));
  assert.equal(log.isExecuting([true, false, false]), true);
  log.addBatch(...batch([[1, 7, 3, 0.25, 10]]));
  assert.equal(log.isExecuting([true, false, false]), false);
  assert.equal(log.executions.begin[0], 1.25);
  assert.equal(log.executions.end[0], 3);
});

test("a reply that comes before its call leaves no handler executing", () => {
  const log = new Log();
  log.addBatch(...batch([[1, 7, 3, 0.25, 10]], { flows: FLOWS }));
  log.addBatch(...batch([[0, 7, 1, 0.25, 10]]));
  assert.equal(log.isExecuting([true, true, true]), false);
});

test("the time of roles' messages begins without that of control messages", () => {
  const log = new Log();
  log.addBatch(
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
  log.addBatch(...batch(rows, { flows: FLOWS }));
  for (let time = 1; time <= RING_SIZE / 1000; time += 1) {
    log.addBatch(
      ...batch(rows.map(([flow, call, sent]) => [flow, call, sent + 1000 * time, 0, 1]))
    );
  }
  assert.equal(log.head, RING_SIZE + 1000);
  assert.equal(log.first, 1000);
  assert.equal(log.begins[0], 1000);
  assert.equal(log.findRow(5000), 5000);
  assert.equal(log.findRow(0), log.first);
});

test("nodes whose handlers execute at a time", () => {
  const log = new Log();
  log.addBatch(...batch([[0, 7, 1, 0.25, 10]], { flows: FLOWS }));
  log.addBatch(...batch([[1, 7, 3, 0.25, 10]]));
  assert.deepEqual([...log.executingNodes(2, [true, true, true])], [log.nodeIndex("b")]);
  assert.deepEqual([...log.executingNodes(2, [false, true, true])], []);
  assert.deepEqual([...log.executingNodes(3.5, [true, true, true])], []);
});

const FLOW = { messages: 2, bytes: 10, seconds: 1, travelled: 2, lost: 0 };

test("sums of flows by key", () => {
  const sums = new Map();
  addToSums(sums, "k", FLOW, { from: 0 });
  assert.deepEqual(addToSums(sums, "k", FLOW, { from: 0 }), {
    from: 0,
    messages: 4,
    bytes: 20,
    seconds: 2,
    travelled: 4,
    lost: 0
  });
  assert.deepEqual(sumFlows([FLOW, FLOW, { ...FLOW, lost: 1 }]), {
    messages: 6,
    bytes: 30,
    seconds: 3,
    travelled: 6,
    lost: 1
  });
  assert.equal(sumFlows([]).messages, 0);
});

test("sums of flows by the nodes at their ends", () => {
  const log = new Log();
  const totals = [
    [0, 3, 300, 0.75, 1],
    [1, 2, 20, 0.5, 0],
    [2, 1, 5, 0, 0]
  ];
  log.addBatch(...batch([], { flows: FLOWS, totals }));
  const pairs = sumPairs(log.flows);
  assert.equal(pairs.size, 2);
  const pair = pairs.get(pairKey(0, 1));
  assert.deepEqual([pair.messages, pair.bytes, pair.lost], [4, 305, 1]);
  assert.deepEqual(pair.parts, [
    ["task work", 3, 300],
    ["task assign-role", 1, 5]
  ]);
});
