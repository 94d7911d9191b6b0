// The inspector beside the board: one role or node in detail; what roles ask for and lack; errors;
// who waits. And what happens now, on chips and in the status line.

import { tag } from "../base/common.js";
import { openCommandForm, runCommand } from "./actions.js";
import { updateZoom } from "./cards.js";
import { pointBelow, showError } from "./popups.js";

const REFRESH_INTERVAL_MS = 2000;

/**
 * What the inspector shows: a role ("node/role") or a node, or all of a kind.
 * @typedef {{kind: string, address?: string}} Subject "address", "needs", "errors" or "waiting"
 */

/**
 * Show a role or a node in the inspector.
 * @param {import("./board.js").Board} board
 * @param {string} address
 */
export function inspect(board, address) {
  openInspector(board, { kind: "address", address });
}

// Show a subject in the inspector; null closes it.
function openInspector(board, subject) {
  board.subject = subject;
  for (const { element } of board.cards.values()) {
    for (const chip of element.querySelectorAll(".chip")) {
      const address = `${element.dataset.node}/${chip.dataset.role}`;
      chip.classList.toggle("selected", subject?.address === address);
    }
  }
  board.inspector.hidden = !subject;
  clearInterval(board.refreshTimer);
  updateZoom(board);
  if (!subject) return;
  refreshInspector(board);
  if (subject.kind === "address" && !board.offline) {
    board.refreshTimer = setInterval(() => {
      if (board.inspector.checkVisibility?.() ?? true) refreshInspector(board);
    }, REFRESH_INTERVAL_MS);
  }
}

/**
 * Request what the inspector shows, and show it if it has changed.
 * @param {import("./board.js").Board} board
 * @returns {Promise<void>}
 */
export async function refreshInspector(board) {
  const { subject } = board;
  if (!subject) return;
  let page;
  try {
    page = await (subject.address
      ? board.request("inspect", { address: subject.address })
      : board.request("show", { kind: subject.kind }));
  } catch (error) {
    const lines = [{ text: error.message }];
    page = { title: subject.address ?? "", parts: [{ name: "", lines }] };
  }
  if (board.subject !== subject) return;
  const key = JSON.stringify(page);
  // nothing new: keep the focus, and what is unfolded
  if (board.inspectedKey === key && !board.inspector.hidden) return;
  board.inspectedKey = key;
  const { scrollTop } = board.inspector;
  board.inspector.replaceChildren(
    tag(
      "button",
      {
        class: "close plain",
        "aria-label": "close the inspector",
        onclick: () => openInspector(board, null)
      },
      "×"
    ),
    tag(
      "div",
      { class: "title" },
      page.title,
      tag("span", { class: "hint" }, ` ${page.hint ?? ""}`)
    )
  );
  for (const { name, lines } of page.parts)
    board.inspector.append(
      tag("div", { class: "part" }, name),
      ...lines.map((line) => makeLine(board, line))
    );
  if (subject.kind === "needs") addRelateAll(board, page.parts[0].lines);
  board.inspector.scrollTop = scrollTop;
}

// Make a line of the inspector; its keys say which kind of line it is.
function makeLine(board, line) {
  if (line.traceback !== undefined) return makeFailure(line);
  if (line.log) return tag("pre", { class: "log" }, line.log);
  if (line.label)
    return tag(
      "div",
      { class: "line" },
      tag("span", { class: "hint" }, `${line.label} `),
      tag("code", {}, line.code)
    );
  return line.kind ? makeChannel(board, line) : makeText(board, line);
}

function makeFailure({ text, traceback }) {
  return tag(
    "details",
    { class: "failure" },
    tag("summary", {}, text),
    tag("pre", {}, traceback || text)
  );
}

function makeChannel(board, { kind, name, takes, callable }) {
  const { address } = board.subject;
  const openCall = (event) =>
    openCommandForm(board, "call", { address, channel: name }, pointBelow(event));
  return tag(
    "div",
    { class: "line" },
    tag("span", { class: `kind ${kind}` }, kind),
    " ",
    tag("b", {}, name),
    takes ? tag("span", { class: "hint" }, `(${takes})`) : "",
    callable
      ? tag("button", { class: "call", "aria-label": `call ${name}`, onclick: openCall }, "call")
      : null
  );
}

function makeText(board, { text, role, proposal, offer }) {
  const link = { class: "link plain", onclick: () => inspect(board, role) };
  const relate = () => runCommand(board, "relate", proposal);
  return tag(
    "div",
    { class: "line" },
    role ? tag("button", link, role) : "",
    ` ${text} `,
    proposal
      ? tag(
          "button",
          { class: "propose", title: proposal.instances.join(", "), onclick: relate },
          offer
        )
      : null
  );
}

// Add one button for all needs that a proposal meets, if there are several.
function addRelateAll(board, lines) {
  const proposals = lines.map(({ proposal }) => proposal).filter(Boolean);
  if (proposals.length < 2) return;
  const relateAll = async () => {
    for (const proposal of proposals) await runCommand(board, "relate", proposal);
  };
  board.inspector.append(
    tag("button", { class: "propose all", onclick: relateAll }, `Relate all ${proposals.length}`)
  );
}

/**
 * Show a message at the foot of the board.
 * @param {import("./board.js").Board} board
 * @param {string} text
 * @param {boolean} [isError]
 */
export function showMessage(board, text, isError = false) {
  showError(board, text);
  board.banner.classList.toggle("note", !isError);
}

/**
 * Show what happens now, on chips and in the status line.
 * @param {import("./board.js").Board} board
 */
export function updateLive(board) {
  const { status = {}, work = {}, errors = {} } = board.live;
  const needy = new Set(board.state.needs.map((need) => need.role));
  for (const [node, { element }] of board.cards) {
    element.classList.toggle("faulty", Boolean(errors[node]));
    for (const chip of /** @type {NodeListOf<HTMLElement>} */ (element.querySelectorAll(".chip"))) {
      const address = `${node}/${chip.dataset.role}`;
      if (chip.classList.contains("pending")) {
        // it goes once it is ready
        chip.dataset.status = status[address] ?? chip.dataset.status;
        chip.querySelector(".doing")?.replaceChildren(`${chip.dataset.status} …`);
        continue;
      }
      const [running, queued] = work[address] ?? [0, 0];
      chip.dataset.status = status[address] ?? "ready";
      chip.classList.toggle("running", running > 0);
      chip.classList.toggle("faulty", Boolean(errors[address]));
      chip.classList.toggle("needy", needy.has(address));
      const doing = chip.querySelector(".doing");
      if (!doing) continue;
      const parts = [
        chip.dataset.status === "ready" ? "" : chip.dataset.status,
        running ? `▶ ${running}` : "",
        queued ? `+${queued}` : "",
        errors[address] ? `✕ ${errors[address]}` : "",
        needy.has(address) ? "?" : ""
      ];
      const text = parts.filter(Boolean).join(" ");
      if (doing.textContent !== text) doing.textContent = text;
    }
  }
  updateStatus(board);
  if (["errors", "waiting"].includes(board.subject?.kind)) refreshInspector(board);
}

/**
 * Show in the line above the board how the testbed stands.
 * @param {import("./board.js").Board} board
 */
export function updateStatus(board) {
  const { waits = 0, faults = [] } = board.live;
  const needs = board.state.needs.length;
  const selection = board.selected.size > 1 ? `${board.selected.size} selected · ` : "";
  const text = selection + board.state.says;
  const key = [text, waits, needs, faults.length].join();
  if (board.status.dataset.key === key) return;
  board.status.dataset.key = key;
  board.status.replaceChildren();
  const addAlert = (count, noun, kind) => {
    if (!count) return;
    const attributes = {
      class: `alert ${kind}`,
      onclick: () => openInspector(board, { kind })
    };
    const label = `${count} ${noun}${count === 1 ? "" : "s"}`;
    board.status.append(tag("button", attributes, label));
  };
  addAlert(needs, "need", "needs");
  addAlert(waits, "waiting call", "waiting");
  addAlert(faults.length, "error", "errors");
  board.status.append(tag("span", {}, text));
}
