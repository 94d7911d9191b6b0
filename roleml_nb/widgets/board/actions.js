// What can be done: by dragging, by menus, by keys. Each ends in a gesture that the kernel carries
// out.

import { hueOf, layEdges, makeChip } from "./cards.js";
import { drawStatus, inspect, showNote } from "./inspector.js";
import { openForm, openMenu, showFault } from "./popups.js";

async function perform(board, kind, content) {
  const said = await board.request(kind, content);
  if (content.kind !== "call") board.fault.hidden = true; // what came of a call may be there by now
  if (said.notes.length) showNote(board, said.notes.join("\n"));
  board.announce(`done: ${[...said.lines, ...said.notes].join("; ")}`);
}

export function tryTo(board, gesture, given) {
  return perform(board, "do", { gesture, given }).catch((error) => showFault(board, error.message));
}

// selecting

export function select(board, names) {
  board.selected = new Set(names);
  for (const [name, { element }] of board.cards) {
    element.classList.toggle("selected", board.selected.has(name));
    element.setAttribute("aria-pressed", String(board.selected.has(name)));
  }
  drawStatus(board);
}

export function toggle(board, name) {
  const names = new Set(board.selected);
  if (!names.delete(name)) names.add(name);
  select(board, names);
  board.announce(`${names.size} selected`);
}

// Those that a drop on a node means: the whole selection if it is in it.
export function meant(board, name) {
  return board.selected.size > 1 && board.selected.has(name)
    ? board.state.nodes.map((node) => node.name).filter((each) => board.selected.has(each))
    : [name];
}

// dragging

export function carryEntry(board, entry) {
  return {
    text: entry.cls,
    hue: hueOf(board, entry.name),
    over: (hit) => hit.card ?? hit.stage,
    drop: (hit, at) => {
      if (hit.card) assignForm(board, entry, meant(board, hit.card.dataset.node), at);
      else if (hit.stage) board.announce("dropped on no node");
    }
  };
}

export function carryRole(board, node, event) {
  const chip = event.target.closest(".chip");
  const role = chip.dataset.role;
  return {
    text: `${node}/${role}`,
    hue: hueOf(board, role),
    over: (hit) =>
      hit.bin ??
      (hit.chip && hit.chip !== chip
        ? hit.chip
        : hit.card?.dataset.node !== node
          ? hit.card
          : null),
    drop: (hit, at) => {
      if (hit.bin) tryTo(board, "terminate", { nodes: [node], name: role });
      else if (hit.chip && hit.chip !== chip) {
        const other = hit.chip.closest(".card").dataset.node;
        gestureForm(
          board,
          "relate",
          { nodes: [node], role, instances: [`${other}/${hit.chip.dataset.role}`] },
          at
        );
      } else if (hit.card && hit.card.dataset.node !== node)
        migrate(board, `${node}/${role}`, hit.card.dataset.node, at);
    }
  };
}

export function carryNode(board, name) {
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
    move: (dx, dy) => {
      element.classList.add("moving");
      put(Math.round(x + dx), Math.round(y + dy));
    },
    end: () => element.classList.remove("moving"),
    cancel: () => put(x, y),
    drop: (hit) => {
      if (hit.bin) {
        put(x, y);
        tryTo(board, "remove", { nodes: meant(board, name) });
        return;
      }
      if (free) {
        tryTo(board, "arrange", { positions: { [name]: [node.x, node.y] } });
        return;
      }
      put(x, y);
      if (hit.frame && hit.frame.dataset.host !== node.host)
        tryTo(board, "move", { nodes: meant(board, name), on: hit.frame.dataset.host });
    }
  };
}

// forms: the kernel knows what they ask for, and what was filled in

export async function gestureForm(board, kind, given, at, whileDone = (_, doing) => doing) {
  try {
    const form = await board.request("form", { kind, given });
    openForm(board, at, {
      ...form,
      say: async (values) => (await board.request("say", { kind, given, values })).lines.join("\n"),
      submit: (values) => whileDone(values, perform(board, "submit", { kind, given, values }))
    });
  } catch (error) {
    showFault(board, error.message);
  }
}

export function assignForm(board, entry, nodes, at) {
  gestureForm(board, "assign", { cls: entry.cls, nodes }, at, (values, doing) => {
    const ghosts = ghostChips(board, values.name, nodes);
    return doing.finally(() => {
      for (const ghost of ghosts) ghost.remove();
    });
  });
}

// What is on its way to being ready, in its place.
function ghostChips(board, role, nodes) {
  return nodes
    .filter((name) => board.cards.has(name))
    .map((name) => {
      const ghost = makeChip(board, { name: role }, "declaring");
      ghost.classList.add("pending");
      board.cards.get(name).element.querySelector(".chips").append(ghost);
      return ghost;
    });
}

async function migrate(board, role, to, at) {
  try {
    await perform(board, "do", { gesture: "migrate", given: { role, to } });
  } catch (error) {
    if (!error.message.includes("conflicts='keep'")) {
      showFault(board, error.message);
      return;
    }
    openMenu(board, at, error.message, [
      {
        text: `Move it, and use the relationships of ${to}`,
        act: () => tryTo(board, "migrate", { role, to, conflicts: "keep" })
      },
      { text: "Leave it where it is", act: () => {} }
    ]);
  }
}

async function pickChannel(board, address, at) {
  try {
    openMenu(
      board,
      at,
      `Call ${address}`,
      (await board.request("channels", { address })).map((channel) => ({
        text: channel,
        act: () => gestureForm(board, "call", { address, channel }, at)
      }))
    );
  } catch (error) {
    showFault(board, error.message);
  }
}

function pickRole(board, nodes, at) {
  const where = nodes.length === 1 ? nodes[0] : `${nodes.length} nodes`;
  openMenu(
    board,
    at,
    `Put on ${where}`,
    board.palette.map((entry) => ({
      text: entry.cls,
      hint: entry.library
        ? "library"
        : entry.version > 1
          ? `notebook, v${entry.version}`
          : "notebook",
      act: () => assignForm(board, entry, nodes, at)
    }))
  );
}

// menus

export function nodeMenu(board, name, at) {
  const { node } = board.cards.get(name);
  const nodes = meant(board, name);
  const what = nodes.length > 1 ? `${nodes.length} nodes` : name;
  openMenu(board, at, nodes.length > 1 ? `${nodes.length} selected nodes` : `Node ${name}`, [
    ...(nodes.length > 1
      ? []
      : node.roles.map((role) => ({
          text: role.name,
          hint: `${role.cls} ›`,
          act: () => roleMenu(board, `${name}/${role.name}`, at)
        }))),
    node.roles.length && nodes.length === 1
      ? null
      : {
          text: board.selected.has(name) ? "Take out of the selection" : "Select",
          hint: "Space",
          act: () => toggle(board, name)
        },
    { text: "Put a role here …", act: () => pickRole(board, nodes, at) },
    {
      text: "Let it know roles …",
      act: () => gestureForm(board, "relate", { nodes, role: node.roles[0]?.name ?? "" }, at)
    },
    ...(nodes.length > 1
      ? []
      : [{ text: "Rename …", act: () => gestureForm(board, "rename", { node: name }, at) }]),
    ...board.state.hosts
      .filter((host) => !host.lost && host.id !== node.host && board.state.hosts.length > 1)
      .slice(0, 8)
      .map((host) => ({
        text: `Move to ${host.label}`,
        act: () => tryTo(board, "move", { nodes, on: host.id })
      })),
    {
      text: `Remove ${what}`,
      hint: "Delete",
      danger: true,
      act: () => tryTo(board, "remove", { nodes })
    }
  ]);
}

export function roleMenu(board, address, at) {
  const [node, role] = address.split("/");
  openMenu(board, at, address, [
    { text: "Show", act: () => inspect(board, address) },
    {
      text: "Move to another node …",
      act: () => gestureForm(board, "migrate", { role: address }, at)
    },
    {
      text: "Let it know roles …",
      act: () => gestureForm(board, "relate", { nodes: [node], role }, at)
    },
    { text: "Call …", act: () => pickChannel(board, address, at) },
    {
      text: "Terminate",
      danger: true,
      act: () => tryTo(board, "terminate", { nodes: [node], name: role })
    }
  ]);
}

export function edgeMenu(board, pair, at) {
  openMenu(
    board,
    at,
    `${pair.source} ${pair.both ? "↔" : "→"} ${pair.target}`,
    pair.known.map(([node, relationship, member]) => ({
      text: `${node} forgets ${member}`,
      hint: relationship,
      danger: true,
      act: () =>
        tryTo(board, "relate", { nodes: [node], relationship, instances: [member], remove: true })
    }))
  );
}

export async function undo(board, kind) {
  const note = kind === "undo" ? board.history.note : "";
  try {
    const lines = await board.request(kind);
    board.fault.hidden = true;
    board.announce([`${kind}: ${lines.join("; ")}`, note].filter(Boolean).join("; "));
  } catch (error) {
    showFault(board, error.message);
  }
}
