// The strip of the board: what was done by hand, as code.

import assert from "node:assert/strict";
import { test } from "node:test";

import { codeOf, insertCell } from "../../../roleml_nb/widgets/board/strip.js";

const STEPS = [
  { lines: ["%rml spawn a", "%rml spawn b"], python: ['bed.spawn("a", "b")'] },
  { lines: ["%rml remove a"], python: ['bed.remove("a")'] }
];

test("steps are code in the language that is chosen", () => {
  assert.equal(codeOf(STEPS, "%rml"), "%rml spawn a\n%rml spawn b\n%rml remove a");
  assert.equal(codeOf(STEPS, "Python"), 'bed.spawn("a", "b")\nbed.remove("a")');
  assert.equal(codeOf([], "Python"), "");
});

// The model of a board that a notebook shows, whose cells have these outputs.
function makeModel(...outputs) {
  const inserted = [];
  const cells = outputs.map((text) => ({
    cell_type: "code",
    toJSON: () => ({ outputs: [{ data: text }] })
  }));
  const sharedModel = {
    cells,
    insertCell: (index, { source }) => inserted.push([index, source])
  };
  const model = {
    get: () => ({ id: "me" }),
    widget_manager: { context: { model: { sharedModel } } }
  };
  return { model, inserted };
}

test("a cell is inserted below the one that shows the board", () => {
  const { model, inserted } = makeModel("other", "me", "another");
  assert.equal(insertCell(model, "code"), true);
  assert.deepEqual(inserted, [[2, "code"]]);
});

test("a cell is inserted last where no cell shows the board", () => {
  const { model, inserted } = makeModel("other", "another");
  insertCell(model, "code");
  assert.deepEqual(inserted, [[2, "code"]]);
});

test("a front end without access to its notebook gets no cell", () => {
  assert.equal(insertCell({ get: () => ({ id: "me" }) }, "code"), false);
});
