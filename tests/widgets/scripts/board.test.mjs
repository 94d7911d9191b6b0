// Where the board places what it draws, and where its arrow keys go.

import assert from "node:assert/strict";
import { test } from "node:test";

import { findNeighbour } from "../../../roleml_nb/widgets/board/board.js";
import { boundsOf } from "../../../roleml_nb/widgets/board/cards.js";
import { layoutEdge, middleOf } from "../../../roleml_nb/widgets/board/edges.js";

const box = (x, y, name = "") => ({ name, x, y, w: 40, h: 20 });

test("an edge begins and ends where the line between the middles leaves the boxes", () => {
  const { path, label } = layoutEdge(box(0, 0), box(200, 0), 0, false);
  assert.equal(path, "M42.0 10.0Q120.0 10.0 198.0 10.0");
  assert.deepEqual(label, [120, 10]);
});

test("edges of both directions bend to different sides", () => {
  const there = layoutEdge(box(0, 0), box(200, 0), 0.12, false);
  const back = layoutEdge(box(200, 0), box(0, 0), 0.12, false);
  assert.ok(there.label[1] > 10 && back.label[1] < 10);
});

test("edges of dots are longer than those of boxes", () => {
  assert.match(layoutEdge(box(0, 0), box(200, 0), 0, true).path, /^M36\.0 /);
});

test("an edge within one place has no length", () => {
  assert.equal(layoutEdge(box(0, 0), box(0, 0), 0, false).path, "M20.0 10.0Q20.0 10.0 20.0 10.0");
  assert.deepEqual(middleOf(box(0, 0)), [20, 10]);
});

test("the bounds have a margin and hold the origin", () => {
  assert.deepEqual(boundsOf([]), { left: -20, top: -20, width: 140, height: 100 });
  const bounds = boundsOf([box(-50, 10), box(300, 100)]);
  assert.deepEqual(bounds, { left: -70, top: -20, width: 430, height: 160 });
});

test("arrow keys go to the nearest node ahead", () => {
  const [start, right, below, far] = [
    box(0, 0, "start"),
    box(100, 10, "right"),
    box(10, 80, "below"),
    box(300, 0, "far")
  ];
  const nodes = [start, right, below, far];
  assert.equal(findNeighbour(nodes, start, "ArrowRight"), right);
  assert.equal(findNeighbour(nodes, start, "ArrowDown"), below);
  assert.equal(findNeighbour(nodes, start, "ArrowLeft"), null);
  assert.equal(findNeighbour(nodes, far, "ArrowLeft"), right);
});
