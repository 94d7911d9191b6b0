// Beside the board: one role or node in detail; what roles ask for and lack; errors; who waits.

import { tag } from "../base/common.js";
import { gestureForm, tryTo } from "./actions.js";
import { zoom } from "./cards.js";
import { below, showFault } from "./popups.js";

const REFRESH = 2000; // ms between two looks at a role that is shown

export function inspect(board, address) {
  show(board, { kind: "address", address });
}

export function show(board, what) {
  board.shown = what;
  for (const { element } of board.cards.values()) {
    for (const chip of element.querySelectorAll(".chip")) {
      chip.classList.toggle(
        "selected",
        what?.address === `${element.dataset.node}/${chip.dataset.role}`
      );
    }
  }
  board.inspector.hidden = !what;
  clearInterval(board.looking);
  if (!what) {
    zoom(board);
    return;
  }
  zoom(board);
  fill(board);
  if (what.kind === "address" && !board.offline) {
    board.looking = setInterval(() => {
      if (board.inspector.checkVisibility?.() ?? true) fill(board);
    }, REFRESH);
  }
}

export async function fill(board) {
  const { shown } = board;
  if (!shown) return;
  let page;
  try {
    page = await (shown.address
      ? board.request("inspect", { address: shown.address })
      : board.request("show", { kind: shown.kind }));
  } catch (error) {
    page = { title: shown.address ?? "", parts: [{ name: "", lines: [{ text: error.message }] }] };
  }
  if (board.shown !== shown) return;
  const known = JSON.stringify(page);
  // nothing new: keep the focus, and what is unfolded
  if (board.filled === known && !board.inspector.hidden) return;
  board.filled = known;
  const at = board.inspector.scrollTop;
  board.inspector.replaceChildren(
    tag(
      "button",
      {
        class: "close plain",
        "aria-label": "close the inspector",
        onclick: () => show(board, null)
      },
      "×"
    ),
    tag(
      "div",
      { class: "title" },
      page.title,
      tag("span", { class: "hint" }, ` ${page.hint ?? ""}`)
    ),
    ...page.parts.flatMap(({ name, lines }) => [
      tag("div", { class: "part" }, name),
      ...lines.map((line) => lineOf(board, line))
    ]),
    ...proposals(board, page)
  );
  board.inspector.scrollTop = at;
}

// A line of the inspector, whichever kind of thing it tells.
function lineOf(
  board,
  { text, label, code, kind, name, takes, callable, role, proposal, offer, traceback, log }
) {
  if (traceback !== undefined)
    return tag(
      "details",
      { class: "failure" },
      tag("summary", {}, text),
      tag("pre", {}, traceback || text)
    );
  if (log) return tag("pre", { class: "log" }, log);
  if (label)
    return tag(
      "div",
      { class: "line" },
      tag("span", { class: "hint" }, `${label} `),
      tag("code", {}, code)
    );
  if (kind) {
    const call = (event) =>
      gestureForm(board, "call", { address: board.shown.address, channel: name }, below(event));
    return tag(
      "div",
      { class: "line" },
      tag("span", { class: `kind ${kind}` }, kind),
      " ",
      tag("b", {}, name),
      takes ? tag("span", { class: "hint" }, `(${takes})`) : "",
      callable
        ? tag("button", { class: "call", "aria-label": `call ${name}`, onclick: call }, "call")
        : null
    );
  }
  return tag(
    "div",
    { class: "line" },
    role ? tag("button", { class: "link plain", onclick: () => inspect(board, role) }, role) : "",
    ` ${text} `,
    proposal
      ? tag(
          "button",
          {
            class: "propose",
            title: proposal.instances.join(", "),
            onclick: () => tryTo(board, "relate", proposal)
          },
          offer
        )
      : null
  );
}

// One button for all needs, where there are several that are unambiguous.
function proposals(board, { parts }) {
  const open =
    board.shown.kind === "needs" ? parts[0].lines.filter(({ proposal }) => proposal) : [];
  return open.length < 2
    ? []
    : [
        tag(
          "button",
          {
            class: "propose all",
            onclick: async () => {
              for (const { proposal } of open) await tryTo(board, "relate", proposal);
            }
          },
          `Relate all ${open.length}`
        )
      ];
}

// What came of a call, at the foot of the board.
export function showNote(board, text, wrong = false) {
  showFault(board, text);
  board.fault.classList.toggle("note", !wrong);
}

// What happens now, on the chips and in the status line.
export function drawLive(board) {
  const { status = {}, work = {}, errors = {} } = board.live;
  const needy = new Set(board.state.needs.map((need) => need.role));
  for (const [node, { element }] of board.cards) {
    element.classList.toggle("faulty", Boolean(errors[node]));
    for (const chip of element.querySelectorAll(".chip.pending")) {
      // it goes once it is ready
      chip.dataset.status = status[`${node}/${chip.dataset.role}`] ?? chip.dataset.status;
      chip.querySelector(".doing")?.replaceChildren(`${chip.dataset.status} …`);
    }
    for (const chip of element.querySelectorAll(".chip:not(.pending)")) {
      const address = `${node}/${chip.dataset.role}`;
      const [running, queued] = work[address] ?? [0, 0];
      chip.dataset.status = status[address] ?? "ready";
      chip.classList.toggle("running", running > 0);
      chip.classList.toggle("faulty", Boolean(errors[address]));
      chip.classList.toggle("needy", needy.has(address));
      const doing = chip.querySelector(".doing");
      if (!doing) continue;
      const said = [
        chip.dataset.status === "ready" ? "" : chip.dataset.status,
        running ? `▶ ${running}` : "",
        queued ? `+${queued}` : "",
        errors[address] ? `✕ ${errors[address]}` : "",
        needy.has(address) ? "?" : ""
      ]
        .filter(Boolean)
        .join(" ");
      if (doing.textContent !== said) doing.textContent = said;
    }
  }
  drawStatus(board);
  if (["errors", "waiting"].includes(board.shown?.kind)) fill(board);
}

// The line above the board that says how the testbed stands.
export function drawStatus(board) {
  const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;
  const text =
    (board.selected.size > 1 ? `${board.selected.size} selected · ` : "") + board.state.says;
  const { waits = 0, faults = [] } = board.live;
  const known = [text, waits, board.state.needs.length, faults.length].join();
  if (board.status.dataset.known === known) return;
  board.status.dataset.known = known;
  const alert = (number, noun, kind) =>
    number
      ? [
          tag(
            "button",
            { class: `alert ${kind}`, onclick: () => show(board, { kind }) },
            count(number, noun)
          )
        ]
      : [];
  board.status.replaceChildren(
    ...alert(board.state.needs.length, "need", "needs"),
    ...alert(waits, "waiting call", "waiting"),
    ...alert(faults.length, "error", "errors"),
    tag("span", {}, text)
  );
}
