// Beside the board: one role or node in detail; what roles ask for and lack; errors; who waits.

const REFRESH = 2000; // ms between two looks at a role that is shown

function inspect(board, address) { show(board, { kind: "address", address }); }

function show(board, what) {
  board.shown = what;
  for (const { element } of board.cards.values()) {
    for (const chip of element.querySelectorAll(".chip")) {
      chip.classList.toggle("selected", what?.address === `${element.dataset.node}/${chip.dataset.role}`);
    }
  }
  board.inspector.hidden = !what;
  clearInterval(board.looking);
  if (!what) { zoom(board); return; }
  zoom(board);
  fill(board);
  if (what.kind === "address" && !board.offline) {
    board.looking = setInterval(() => { if (board.inspector.checkVisibility?.() ?? true) fill(board); }, REFRESH);
  }
}

async function fill(board) {
  const { shown } = board;
  if (!shown) return;
  const parts = { needs: needsOf, errors: errorsOf, waiting: waitingOf, address: addressOf };
  let content;
  try { content = await parts[shown.kind](board, shown); } catch (error) { content = [tag("p", { class: "hint" }, error.message)]; }
  if (board.shown !== shown) return;
  const said = tag("div", { class: "body" }, ...content);
  const old = board.inspector.querySelector(".body");
  if (old?.contains(board.shadow.activeElement) && old.dataset.said === said.textContent) return; // nothing new: keep the focus
  said.dataset.said = said.textContent;
  const at = board.inspector.scrollTop;
  board.inspector.replaceChildren(tag("button", { class: "close", "aria-label": "close the inspector", onclick: () => show(board, null) }, "×"), said);
  board.inspector.scrollTop = at;
}

const heading = (text, hint) => tag("div", { class: "title" }, text, hint ? tag("span", { class: "hint" }, ` ${hint}`) : null);
const section = (title, ...children) => (children.length ? [tag("div", { class: "part" }, title), ...children] : []);
const line = (...children) => tag("div", { class: "line" }, ...children);
const failure = (one) => tag("details", { class: "failure" }, tag("summary", {}, one.text), tag("pre", {}, one.traceback || one.text));

async function addressOf(board, { address }) {
  const [node, role] = address.split("/");
  const found = await board.ask("inspect", { address });
  const status = board.live.status?.[address] ?? "ready";
  const [running, queued] = board.live.work?.[address] ?? [0, 0];
  const needs = board.state.needs.filter((need) => need.role === address);
  return [
    heading(address, role ? status : "node"),
    ...(role ? [line(running || queued ? `${running} running, ${queued} queued` : "at rest")] : []),
    ...section("Lacks", ...needs.map((need) => needLine(board, need))),
    ...section("Errors", ...found.failures.map(failure)),
    ...section("What it is", ...found.facts.map(([key, value]) => line(tag("span", { class: "hint" }, `${key} `), tag("code", {}, value)))),
    ...section("Channels", ...(found.channels ?? []).map((channel) => channelLine(board, address, channel))),
    ...section(`${node} knows`, ...Object.entries(found.known).filter(([, members]) => members.length).map(([relationship, members]) => (
      line(tag("b", {}, relationship), ` ${members.length > 4 ? `${members.slice(0, 3).join(", ")} … (${members.length})` : members.join(", ")}`)))),
    ...section("Known to", ...(found.knows ?? []).slice(0, 8).map((text) => line(text))),
    ...section("Last messages", ...(found.messages ?? []).map((text) => line(text))),
    ...section("Log", ...(found.log.length ? [tag("pre", { class: "log" }, found.log.join("\n"))] : [])),
  ];
}

function channelLine(board, address, { kind, name, takes }) {
  const callable = kind === "service" || kind === "task";
  return line(tag("span", { class: `kind ${kind}` }, kind), " ", tag("b", {}, name), takes ? tag("span", { class: "hint" }, `(${takes})`) : "",
    callable ? tag("button", { class: "call", "aria-label": `call ${name}`, onclick: (event) => {
      const box = event.target.getBoundingClientRect();
      callForm(board, address, name, takes, { x: box.left, y: box.bottom + 4 });
    } }, "call") : null);
}

function callForm(board, address, channel, takes, at) {
  openForm(board, at, {
    title: `Call ${address} ${channel}`, about: takes ? `It takes ${takes}.` : "It takes no arguments.", action: "Call",
    fields: [{ key: "arguments", label: "arguments", placeholder: "name=value, …", hint: "", value: board.remembered.get(`call ${channel}`) }],
    submit: async (values) => {
      board.remembered.set(`call ${channel}`, values.arguments);
      const said = await board.ask("call", { address, channel, arguments: values.arguments });
      showNote(board, `${said} …`);
    },
  });
}

// What came of a call, at the foot of the board.
function showNote(board, text, wrong = false) {
  showFault(board, text);
  board.fault.classList.toggle("note", !wrong);
}

function needLine(board, need) {
  const { proposal } = need;
  return tag("div", { class: "need" }, tag("div", {}, need.why), proposal ? tag("button", {
    class: "propose", title: `${proposal.nodes.join(", ")} shall know ${proposal.instances.join(", ")} as ${proposal.relationship}`,
    onclick: () => tryTo(board, "relate", proposal),
  }, `Let ${proposal.nodes[0]} know ${proposal.instances.length === 1 ? proposal.instances[0] : `all ${proposal.instances.length} as ${proposal.relationship}`}`) : null);
}

function needsOf(board) {
  const { needs } = board.state;
  const open = needs.filter((need) => need.proposal);
  return [heading("What roles ask for"), ...(needs.length ? [] : [tag("p", { class: "hint" }, "All that roles ask for is there.")]),
    open.length > 1 ? tag("button", { class: "propose all", onclick: async () => { for (const need of open) await tryTo(board, "relate", need.proposal); } },
      `Relate all ${open.length}`) : null,
    ...needs.slice(0, 60).flatMap((need) => [tag("button", { class: "link", onclick: () => inspect(board, need.role) }, need.role), needLine(board, need)]),
  ].filter(Boolean);
}

function errorsOf(board) {
  return [heading("Errors that nobody waited for"), ...(board.live.faults ?? []).toReversed().map(failure)];
}

function waitingOf(board) {
  const { waiting = [], waits = 0 } = board.live;
  return [heading("Who waits"), ...waiting.map((text) => line(text)), waits > waiting.length ? line(`… and ${waits - waiting.length} more`) : null,
    waits ? null : line("nobody")].filter(Boolean);
}

// What happens now, on the chips and in the status line.
function drawLive(board) {
  const { status = {}, work = {}, errors = {} } = board.live;
  const needy = new Set(board.state.needs.map((need) => need.role));
  for (const [node, { element }] of board.cards) {
    element.classList.toggle("faulty", Boolean(errors[node]));
    for (const chip of element.querySelectorAll(".chip.pending")) { // it goes once it is ready
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
      const said = [chip.dataset.status === "ready" ? "" : chip.dataset.status, running ? `▶ ${running}` : "", queued ? `+${queued}` : "",
        errors[address] ? `✕ ${errors[address]}` : "", needy.has(address) ? "?" : ""].filter(Boolean).join(" ");
      if (doing.textContent !== said) doing.textContent = said;
    }
  }
  drawStatus(board);
  if (board.shown && board.shown.kind !== "address") fill(board);
}
