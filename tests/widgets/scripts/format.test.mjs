// Numbers as text.

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  compareNaturally,
  formatBytes,
  formatCount,
  formatDuration,
  formatFlight,
  formatLatency,
  formatPercent
} from "../../../roleml_nb/widgets/traffic/format.js";

test("durations", () => {
  const texts = [Number.NaN, 1e-7, 2.5e-5, 0.0123, 1.5, 250].map(formatDuration);
  assert.deepEqual(texts, ["–", "< 1 µs", "25 µs", "12.3 ms", "1.50 s", "250 s"]);
});

test("counts, sizes and shares", () => {
  assert.equal(formatCount(1234567), "1,234,567");
  const texts = [0, 999, 1000, 123456, 5e15].map(formatBytes);
  assert.deepEqual(texts, ["0 B", "999 B", "1.00 kB", "123 kB", "5000 TB"]);
  assert.equal(formatPercent(0.1234), "12.3 %");
});

test("latencies, which messages within one process do not have", () => {
  assert.equal(formatLatency({ seconds: 0.5, travelled: 2 }), "250 ms");
  assert.equal(formatLatency({ seconds: 0, travelled: 0 }), "–");
  assert.equal(formatFlight(0.25), "250 ms on the way");
  assert.equal(formatFlight(0), "within one process");
});

test("names are sorted by the numbers in them", () => {
  assert.deepEqual(["c10", "c9", "b1"].sort(compareNaturally), ["b1", "c9", "c10"]);
});
