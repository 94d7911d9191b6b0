// Where the tabs of a traffic view place what they draw.

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  distanceToSegment,
  edgeSegment,
  findCell,
  findNearest,
  fromGraphPoint,
  GUTTER_PX,
  layoutLanes,
  layoutRounds,
  nodeRadius,
  roundStep,
  timeToX,
  toGraphPoint
} from "../../../roleml_nb/widgets/traffic/geometry.js";

const near = (one, other) => assert.ok(Math.abs(one - other) < 1e-9, `${one} is not ${other}`);

test("a node that is dragged stays where it was dropped, within the canvas", () => {
  const [x, y] = fromGraphPoint(toGraphPoint([0.3, 0.8], 900, 460), 900, 460);
  near(x, 0.3);
  near(y, 0.8);
  assert.deepEqual(fromGraphPoint([-50, 9999], 900, 460), [0, 1]);
});

test("nodes are smaller where there are many", () => {
  const sizes = [0, 1, 50, 100000].map(nodeRadius);
  assert.deepEqual([sizes[0], sizes[1], sizes[3]], [17, 17, 2.5]);
  assert.ok(sizes[2] < 17 && sizes[2] > 2.5);
});

test("the edges of both directions begin and end at the borders, side by side", () => {
  const there = edgeSegment([0, 0], [100, 0], 10);
  const back = edgeSegment([100, 0], [0, 0], 10);
  assert.deepEqual(there, [10, 4, 90, 4]);
  assert.deepEqual(back, [90, -4, 10, -4]);
});

test("there is no edge without room or without a node's place", () => {
  assert.equal(edgeSegment([5, 5], [5, 5.5], 10), null);
  assert.equal(edgeSegment(null, [5, 5], 10), null);
});

test("distances from segments", () => {
  assert.equal(distanceToSegment([5, 3], [0, 0, 10, 0]), 3);
  assert.equal(distanceToSegment([13, 4], [0, 0, 10, 0]), 5);
  assert.equal(distanceToSegment([3, 4], [0, 0, 0, 0]), 5);
});

test("the nearest item is found, if it is near", () => {
  const items = [[0, 0, 10, 0], [0, 5, 10, 5], null];
  const itself = (item) => item;
  assert.equal(findNearest([5, 4], items, itself), items[1]);
  assert.equal(findNearest([5, 30], items, itself), undefined);
});

test("lanes are in the order of nodes and roles, each role with one", () => {
  const lanes = layoutLanes(["n10/b", "n9/x", "n10/a", "n10/b"]);
  assert.deepEqual(
    lanes.nodes.map(({ name, roles }) => [name, ...roles]),
    [
      ["n9", "x"],
      ["n10", "a", "b"]
    ]
  );
  assert.equal(lanes.laneHeight, 28);
  assert.deepEqual(
    [...lanes.middles],
    [
      ["n9/x", 18],
      ["n10/a", 46],
      ["n10/b", 74]
    ]
  );
  assert.deepEqual(
    lanes.nodes.map(({ top, height }) => [top, height]),
    [
      [4, 28],
      [32, 56]
    ]
  );
  assert.equal(lanes.height, 88);
});

test("many lanes are thin, and none take no room", () => {
  const addresses = Array.from({ length: 1000 }, (_, index) => `n${index}/x`);
  assert.equal(layoutLanes(addresses).laneHeight, 1.5);
  assert.equal(layoutLanes([]).height, 4);
});

test("times are drawn between the gutter and the margin", () => {
  assert.equal(timeToX(5, [5, 6], 800), GUTTER_PX);
  assert.equal(timeToX(6, [5, 6], 800), 790);
});

test("steps of the axis are round", () => {
  const steps = [0.001, 0.0011, 0.3, 4, 7, 50].map(roundStep);
  const round = [0.001, 0.002, 0.5, 5, 10, 50];
  for (const [index, step] of steps.entries()) near(step, round[index]);
});

test("the cell of a matrix at a point", () => {
  const matrix = { left: 10, top: 20, size: 5, columns: 3, rows: 2 };
  assert.deepEqual(findCell([10, 20], matrix), [0, 0]);
  assert.deepEqual(findCell([24, 29], matrix), [2, 1]);
  assert.equal(findCell([25, 29], matrix), null);
  assert.equal(findCell([9, 22], matrix), null);
  assert.equal(findCell(null, matrix), null);
});

test("the rows of a round's sources fill the room that there is", () => {
  assert.deepEqual(layoutRounds(2), { row: 24, overviewRow: 9, top: 62, height: 126 });
  assert.equal(layoutRounds(1000).row, 5);
});
