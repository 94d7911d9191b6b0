// The choice of flows that a traffic view shows.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Filter } from "../../../roleml_nb/widgets/traffic/filter.js";
import { KINDS, Log } from "../../../roleml_nb/widgets/traffic/log.js";

function makeFilter() {
  const log = new Log();
  log.addFlow("a/x", "b/y", "work", "task");
  log.addFlow("b/y", "c/x", "tell", "event");
  log.addFlow("a/actor", "b/actor", "assign-role", "task");
  return new Filter(log);
}

test("control messages are shown on request", () => {
  const filter = makeFilter();
  assert.deepEqual(filter.mask, [true, true, false]);
  filter.update({ showControl: true });
  assert.deepEqual(filter.mask, [true, true, true]);
});

test("flows are chosen by node, role, channel and kind", () => {
  const filter = makeFilter();
  const masks = [{ node: "a" }, { node: "", role: "y" }, { channel: "tell" }].map((values) => {
    filter.update(values);
    return filter.mask;
  });
  assert.deepEqual(masks, [
    [true, false, false],
    [true, true, false],
    [false, true, false]
  ]);
  filter.update({ role: "", channel: "", hidden: new Set([KINDS.indexOf("event")]) });
  assert.deepEqual(filter.mask, [true, false, false]);
});

test("the mask covers new flows, and busy flows have messages", () => {
  const filter = makeFilter();
  filter.log.addFlow("c/x", "a/x", "work", "task");
  assert.deepEqual(filter.mask, [true, true, false, true]);
  assert.deepEqual(filter.busyFlows, []);
  filter.log.flows[3].messages = 1;
  assert.deepEqual(filter.busyFlows, [filter.log.flows[3]]);
});
