// What can be done: by dragging, by menus, by keys. Each ends in a gesture that the kernel carries out.

async function perform(board, gesture, given) {
  const said = await board.ask("do", { gesture, given });
  board.fault.hidden = true;
  if (said.notes.length) showNote(board, said.notes.join("\n"));
  board.announce(`done: ${[...said.lines, ...said.notes].join("; ")}`);
  return said;
}

function tryTo(board, gesture, given) {
  return perform(board, gesture, given).catch((error) => showFault(board, error.message));
}

const saying = (board, gesture, make) => async (values) => {
  const said = await board.ask("say", { gesture, given: make(values) });
  return (board.history.python ? said.python : said.lines).join("\n");
};

// selecting

function select(board, names) {
  board.selected = new Set(names);
  for (const [name, { element }] of board.cards) {
    element.classList.toggle("selected", board.selected.has(name));
    element.setAttribute("aria-pressed", String(board.selected.has(name)));
  }
  drawStatus(board);
}

function toggle(board, name) {
  const names = new Set(board.selected);
  if (!names.delete(name)) names.add(name);
  select(board, names);
  board.announce(`${names.size} selected`);
}

// Those that a drop on a node means: the whole selection if it is in it.
function meant(board, name) {
  return board.selected.size > 1 && board.selected.has(name)
    ? board.state.nodes.map((node) => node.name).filter((each) => board.selected.has(each)) : [name];
}

// dragging

function carryEntry(board, entry) {
  return {
    text: entry.cls, hue: hueOf(board, entry.name),
    over: (hit) => hit.card ?? hit.stage,
    drop: (hit, at) => {
      if (hit.card) assignForm(board, entry, meant(board, hit.card.dataset.node), at);
      else if (hit.stage) board.announce("dropped on no node");
    },
  };
}

function carryRole(board, node, event) {
  const chip = event.target.closest(".chip");
  const role = chip.dataset.role;
  return {
    text: `${node}/${role}`, hue: hueOf(board, role),
    over: (hit) => hit.bin ?? (hit.chip && hit.chip !== chip ? hit.chip : hit.card?.dataset.node !== node ? hit.card : null),
    drop: (hit, at) => {
      if (hit.bin) tryTo(board, "terminate", { nodes: [node], name: role });
      else if (hit.chip && hit.chip !== chip) {
        const other = hit.chip.closest(".card").dataset.node;
        relateForm(board, [node], role, [`${other}/${hit.chip.dataset.role}`], at);
      } else if (hit.card && hit.card.dataset.node !== node) migrate(board, `${node}/${role}`, hit.card.dataset.node, at);
    },
  };
}

function carryNode(board, name) {
  const { node, element } = board.cards.get(name);
  const [x, y] = [node.x, node.y];
  const free = board.state.by === "relationship";
  const put = (left, top) => {
    Object.assign(node, { x: left, y: top });
    Object.assign(element.style, { left: `${left}px`, top: `${top}px` });
    layEdges(board, name);
  };
  return {
    text: name,
    over: (hit) => hit.bin ?? (!free && hit.frame?.dataset.host !== node.host ? hit.frame : null),
    move: (dx, dy) => { element.classList.add("moving"); put(Math.round(x + dx), Math.round(y + dy)); },
    end: () => element.classList.remove("moving"),
    cancel: () => put(x, y),
    drop: (hit) => {
      if (hit.bin) { put(x, y); removeNodes(board, meant(board, name)); return; }
      if (free) { tryTo(board, "arrange", { positions: { [name]: [node.x, node.y] } }); return; }
      put(x, y);
      if (hit.frame && hit.frame.dataset.host !== node.host) tryTo(board, "move", { nodes: meant(board, name), on: hit.frame.dataset.host });
    },
  };
}

// forms

function assignForm(board, entry, nodes, at) {
  const field = (group) => (one) => ({
    key: `${group}:${one.name}`, group: group === "option" ? "Options" : "Elements", label: one.name, hint: one.type,
    required: one.default === null, placeholder: one.default === null ? "an expression" : one.default,
    value: board.remembered.get(`${entry.cls} ${group} ${one.name}`),
  });
  const fields = [
    { key: "nodes", label: "on nodes", value: patternOf(board, nodes), required: true, hint: "names or patterns",
      choices: board.state.nodes.map((node) => node.name) },
    { key: "name", label: "called", value: entry.name, required: true, hint: "the name of the role" },
    ...entry.options.map(field("option")), ...entry.elements.map(field("element")),
  ];
  const make = (values) => {
    const given = (group) => Object.fromEntries(Object.entries(values).filter(([key, value]) => key.startsWith(`${group}:`) && value)
      .map(([key, value]) => [key.slice(group.length + 1), value]));
    return { nodes: values.nodes, name: values.name, cls: entry.cls, options: given("option"), elements: given("element") };
  };
  const many = nodes.length > 1 ? ` Values may speak of i, n and node: the place in the selection, its size, the name.` : "";
  openForm(board, at, {
    title: `Put ${entry.cls} on ${nodes.length === 1 ? nodes[0] : nodes.length ? `${nodes.length} nodes` : "nodes"}`,
    about: `${entry.about}${many}`, fields, action: "Put", say: saying(board, "assign", make),
    submit: async (values) => {
      const given = make(values);
      for (const group of ["option", "element"]) {
        for (const [key, value] of Object.entries(given[`${group}s`])) board.remembered.set(`${entry.cls} ${group} ${key}`, value);
      }
      const ghosts = ghostChips(board, given.name, nodes);
      try { await perform(board, "assign", given); } finally { ghosts.forEach((ghost) => ghost.remove()); }
    },
  });
}

// What is on its way to being ready, in its place.
function ghostChips(board, role, nodes) {
  return nodes.filter((name) => board.cards.has(name)).map((name) => {
    const ghost = tag("div", { class: `chip pending${board.state.many ? " dot" : ""}`, "data-role": role, "data-status": "declaring" },
      ...(board.state.many ? [] : [tag("span", { class: "name" }, role), tag("span", { class: "doing" }, "declaring …")]));
    ghost.style.setProperty("--hue", hueOf(board, role));
    board.cards.get(name).element.querySelector(".chips").append(ghost);
    return ghost;
  });
}

function spawnForm(board, at) {
  const hosts = board.state.hosts.filter((host) => !host.lost);
  const make = ({ nodes, on }) => ({ nodes, on: on ? hosts.find((host) => host.label === on)?.id ?? on : null });
  openForm(board, at, {
    title: "New nodes", about: "One name, or many at once: client{1..8}.", action: "Make",
    fields: [{ key: "nodes", label: "names", required: true, placeholder: "client{1..8}", hint: "" },
      ...(hosts.length > 1 ? [{ key: "on", label: "on engine", placeholder: "spread over all", hint: "", choices: hosts.map((host) => host.label) }] : [])],
    say: saying(board, "spawn", make), submit: (values) => perform(board, "spawn", make(values)),
  });
}

// Nodes shall know roles: named by what the role there asks for, best first.
function relateForm(board, nodes, role, instances, at) {
  const target = instances[0]?.split("/")[1] ?? "";
  const cls = board.cards.get(nodes[0])?.node.roles.find((each) => each.name === role)?.cls;
  const asked = board.palette.find((entry) => entry.cls === cls)?.asks ?? [];
  const names = [...new Set([...asked, ...(target ? [target] : []), ...board.state.edges.map((edge) => edge[1])])];
  const make = (values) => ({ nodes: values.nodes, relationship: values.relationship, instances: values.instances });
  openForm(board, at, {
    title: `${nodes.join(", ")} shall know`,
    about: asked.length ? `${role} asks for ${asked.join(", ")}.` : "A relationship is a name under which a node knows roles of other nodes.",
    action: "Relate",
    fields: [{ key: "nodes", label: "on nodes", value: nodes.join(" "), required: true, choices: board.state.nodes.map((node) => node.name) },
      { key: "instances", label: "the roles", value: instances.join(" "), required: true, hint: "node/role; client*/trainer",
        choices: board.state.nodes.flatMap((node) => node.roles.map((each) => `${node.name}/${each.name}`)) },
      { key: "relationship", label: "as", value: asked.includes(target) ? target : asked[0] ?? target, required: true, choices: names,
        hint: "the relationship's name" }],
    say: saying(board, "relate", make), submit: (values) => perform(board, "relate", make(values)),
  });
}

async function migrate(board, role, to, at) {
  try { await perform(board, "migrate", { role, to }); } catch (error) {
    if (!error.message.includes("conflicts='keep'")) { showFault(board, error.message); return; }
    openMenu(board, at, error.message, [
      { text: `Move it, and use the relationships of ${to}`, act: () => tryTo(board, "migrate", { role, to, conflicts: "keep" }) },
      { text: "Leave it where it is", act: () => {} }]);
  }
}

function migrateForm(board, role, at) {
  const make = ({ to }) => ({ role, to });
  openForm(board, at, {
    title: `Move ${role}`, about: "Its state goes along, and others go on calling it.", action: "Move",
    fields: [{ key: "to", label: "to node", required: true, choices: board.state.nodes.map((node) => node.name), hint: "" }],
    say: saying(board, "migrate", make), submit: (values) => perform(board, "migrate", make(values)),
  });
}

function renameForm(board, node, at) {
  const make = ({ name }) => ({ node, name });
  openForm(board, at, {
    title: `Rename ${node}`, about: "Its roles go on with their state.", action: "Rename",
    fields: [{ key: "name", label: "name", value: node, required: true, hint: "" }],
    say: saying(board, "rename", make), submit: (values) => perform(board, "rename", make(values)),
  });
}

async function pickChannel(board, address, at) {
  try {
    const { channels } = await board.ask("inspect", { address });
    openMenu(board, at, `Call ${address}`, channels.filter(({ kind }) => kind === "service" || kind === "task").map(({ kind, name, takes }) => (
      { text: name, hint: kind, act: () => callForm(board, address, name, takes, at) })));
  } catch (error) { showFault(board, error.message); }
}

function pickRole(board, nodes, at) {
  openMenu(board, at, `Put on ${nodes.length === 1 ? nodes[0] : `${nodes.length} nodes`}`, board.palette.map((entry) => ({
    text: entry.cls, hint: entry.library ? "library" : `notebook${entry.version > 1 ? `, v${entry.version}` : ""}`,
    act: () => assignForm(board, entry, nodes, at) })));
}

function removeNodes(board, names) {
  return tryTo(board, "remove", { nodes: names });
}

// menus

function nodeMenu(board, name, at) {
  const { node } = board.cards.get(name);
  const nodes = meant(board, name);
  const what = nodes.length > 1 ? `${nodes.length} nodes` : name;
  openMenu(board, at, nodes.length > 1 ? `${nodes.length} selected nodes` : `Node ${name}`, [
    ...(nodes.length > 1 ? [] : node.roles.map((role) => (
      { text: role.name, hint: `${role.cls} ›`, act: () => roleMenu(board, `${name}/${role.name}`, at) }))),
    node.roles.length && nodes.length === 1 ? null : { text: board.selected.has(name) ? "Take out of the selection" : "Select", hint: "Space", act: () => toggle(board, name) },
    { text: "Put a role here …", act: () => pickRole(board, nodes, at) },
    { text: "Let it know roles …", act: () => relateForm(board, nodes, node.roles[0]?.name ?? "", [], at) },
    ...(nodes.length > 1 ? [] : [{ text: "Rename …", act: () => renameForm(board, name, at) }]),
    ...board.state.hosts.filter((host) => !host.lost && host.id !== node.host && board.state.hosts.length > 1).slice(0, 8).map((host) => (
      { text: `Move to ${host.label}`, act: () => tryTo(board, "move", { nodes, on: host.id }) })),
    { text: `Remove ${what}`, hint: "Delete", danger: true, act: () => removeNodes(board, nodes) },
  ]);
}

function roleMenu(board, address, at) {
  const [node, role] = address.split("/");
  openMenu(board, at, address, [
    { text: "Show", act: () => inspect(board, address) },
    { text: "Move to another node …", act: () => migrateForm(board, address, at) },
    { text: "Let it know roles …", act: () => relateForm(board, [node], role, [], at) },
    { text: "Call …", act: () => pickChannel(board, address, at) },
    { text: "Terminate", danger: true, act: () => tryTo(board, "terminate", { nodes: [node], name: role }) },
  ]);
}

function edgeMenu(board, pair, at) {
  openMenu(board, at, `${pair.source} ${pair.both ? "↔" : "→"} ${pair.target}`, pair.known.map(([node, relationship, member]) => ({
    text: `${node} forgets ${member}`, hint: relationship, danger: true,
    act: () => tryTo(board, "relate", { nodes: [node], relationship, instances: [member], remove: true }) })));
}

// Few words for many nodes: what the kernel understands, in the same order.
function patternOf(board, names) {
  if (names.length > 1 && names.length === board.state.nodes.length) return "*";
  const parts = names.map((name) => name.match(/^(.*?)(\d+)$/));
  const run = names.length > 1 && parts.every((part, index) => part && part[1] === parts[0][1]
    && Number(part[2]) === Number(parts[0][2]) + index && String(Number(part[2])) === part[2]);
  return run ? `${parts[0][1]}{${parts[0][2]}..${parts.at(-1)[2]}}` : names.join(" ");
}

async function undo(board, kind) {
  const note = kind === "undo" ? board.history.note : "";
  try {
    const lines = await board.ask(kind);
    board.fault.hidden = true;
    board.announce([`${kind}: ${lines.join("; ")}`, note].filter(Boolean).join("; "));
  } catch (error) { showFault(board, error.message); }
}
