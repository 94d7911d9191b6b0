// The time that a traffic view shows: live, played, sought.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Clock } from "../../../roleml_nb/widgets/traffic/clock.js";

const log = { begins: [10, 5], end: 20, now: 0 };
const filter = { showControl: false };
const END = 20 + 0.02 * 10;

// Run with performance.now under control: seconds since its start.
function at(seconds, act) {
  const { now } = performance;
  performance.now = () => seconds * 1000;
  try {
    return act();
  } finally {
    performance.now = now;
  }
}

test("live time follows the kernel's, a little late, and never goes back", () => {
  const clock = at(0, () => new Clock(log, filter, true));
  at(0, () => clock.synchronize(100));
  assert.equal(
    at(1, () => clock.tick()),
    true
  );
  assert.ok(Math.abs(clock.time - 100.7) < 1e-9);
  at(1, () => clock.synchronize(100.6)); // its clock differs by less than half a second: nearly ignored
  assert.equal(
    at(1, () => clock.tick()),
    false
  );
  assert.ok(Math.abs(clock.time - 100.7) < 1e-9);
});

test("a recording is played at a speed, to its end", () => {
  const clock = at(0, () => new Clock(log, filter, false));
  clock.speed = 10;
  clock.play();
  at(0.1, () => clock.tick());
  assert.ok(Math.abs(clock.time - 1) < 1e-9);
  clock.time = 19.9;
  at(0.3, () => clock.tick());
  assert.equal(clock.time, END);
  assert.equal(clock.playing, false);
  clock.play(); // from the beginning again
  assert.equal(clock.time, 10);
});

test("time that is sought is paused, and within what there is", () => {
  const clock = at(0, () => new Clock(log, filter, true));
  clock.seek(3);
  assert.deepEqual([clock.time, clock.live, clock.playing], [10, false, false]);
  clock.seek(99);
  assert.equal(clock.time, END);
  filter.showControl = true;
  assert.equal(clock.begin, 5);
  filter.showControl = false;
  clock.goLive();
  assert.equal(clock.live, true);
});

test("a tab that slept for an hour goes on where it was", () => {
  const clock = at(0, () => new Clock(log, filter, false));
  clock.time = 11;
  clock.playing = true;
  at(3600, () => clock.tick());
  assert.equal(clock.time, 11.25);
});
