// What can be done on the board: by dragging, by menus, by keys. Each ends in a command that the
// kernel carries out.

import { makeChip, roleHue } from "./cards.js";
import { placeEdges } from "./edges.js";
import { inspect, showMessage, updateStatus } from "./inspector.js";
import { openForm, openMenu, showError } from "./popups.js";

const MAX_HOSTS_IN_MENU = 8;

/** @typedef {import("./drag.js").WindowPoint} WindowPoint */

// Request a command, and show what should be known of it.
async function perform(board, kind, content) {
  const { lines, notes } = await board.request(kind, content);
  if (content.kind !== "call") board.banner.hidden = true; // a call's result may be there by now
  if (notes.length) showMessage(board, notes.join("\n"));
  board.announce(`done: ${[...lines, ...notes].join("; ")}`);
}

/**
 * Carry out a command; its error is shown.
 * @param {import("./board.js").Board} board
 * @param {string} name
 * @param {object} args
 * @returns {Promise<void>}
 */
export function runCommand(board, name, args) {
  return perform(board, "do", { gesture: name, given: args }).catch((error) =>
    showError(board, error.message)
  );
}

/**
 * Select nodes instead of those that were selected.
 * @param {import("./board.js").Board} board
 * @param {string[] | Set<string>} names
 */
export function selectNodes(board, names) {
  board.selected = new Set(names);
  for (const [name, { element }] of board.cards) {
    element.classList.toggle("selected", board.selected.has(name));
    element.setAttribute("aria-pressed", String(board.selected.has(name)));
  }
  updateStatus(board);
}

/**
 * Select a node besides others, or take it out of the selection.
 * @param {import("./board.js").Board} board
 * @param {string} name
 */
export function toggleNode(board, name) {
  const names = new Set(board.selected);
  if (!names.delete(name)) names.add(name);
  selectNodes(board, names);
  board.announce(`${names.size} selected`);
}

/**
 * Return the nodes that an action on a node is for: the whole selection if the node is in it.
 * @param {import("./board.js").Board} board
 * @param {string} name
 * @returns {string[]}
 */
export function affectedNodes(board, name) {
  if (board.selected.size < 2 || !board.selected.has(name)) return [name];
  const names = board.state.nodes.map((node) => node.name);
  return names.filter((each) => board.selected.has(each));
}

/**
 * Drag a role class onto a node, where it opens its form.
 * @param {import("./board.js").Board} board
 * @param {import("./palette.js").Entry} entry
 * @returns {import("./drag.js").Drag}
 */
export function dragEntry(board, entry) {
  return {
    text: entry.cls,
    hue: roleHue(board, entry.name),
    findTarget: (hit) => hit.card ?? hit.stage,
    drop: (hit, point) => {
      if (hit.card)
        openAssignForm(board, entry, affectedNodes(board, hit.card.dataset.node), point);
      else if (hit.stage) board.announce("dropped on no node");
    }
  };
}

/**
 * Drag a role: onto another node, where it moves to; onto another role, which it is to know; or
 * into the bin.
 * @param {import("./board.js").Board} board
 * @param {string} node
 * @param {HTMLElement} chip
 * @returns {import("./drag.js").Drag}
 */
export function dragRole(board, node, chip) {
  const { role } = chip.dataset;
  const otherChip = (hit) => (hit.chip !== chip ? hit.chip : null);
  const otherCard = (hit) => (hit.card?.dataset.node !== node ? hit.card : null);
  return {
    text: `${node}/${role}`,
    hue: roleHue(board, role),
    findTarget: (hit) => hit.bin ?? otherChip(hit) ?? otherCard(hit),
    drop: (hit, point) => {
      const target = otherChip(hit);
      if (hit.bin) runCommand(board, "terminate", { nodes: [node], name: role });
      else if (target) {
        const other = /** @type {HTMLElement} */ (target.closest(".card")).dataset.node;
        const instances = [`${other}/${target.dataset.role}`];
        openCommandForm(board, "relate", { nodes: [node], role, instances }, point);
      } else if (otherCard(hit))
        migrateRole(board, `${node}/${role}`, hit.card.dataset.node, point);
    }
  };
}

/**
 * Drag a node: to another place, onto the frame of another engine, or into the bin.
 * @param {import("./board.js").Board} board
 * @param {string} name
 * @returns {import("./drag.js").Drag}
 */
export function dragNode(board, name) {
  const { node, element } = board.cards.get(name);
  const { x, y } = node;
  const isFree = board.state.by === "relationship";
  const otherFrame = (hit) => (hit.frame?.dataset.host !== node.host ? hit.frame : null);
  const place = (left, top) => {
    Object.assign(node, { x: left, y: top });
    Object.assign(element.style, { left: `${left}px`, top: `${top}px` });
    placeEdges(board, name);
  };
  return {
    text: name,
    findTarget: (hit) => hit.bin ?? (isFree ? null : otherFrame(hit)),
    move: (dx, dy) => {
      element.classList.add("moving");
      place(Math.round(x + dx), Math.round(y + dy));
    },
    end: () => element.classList.remove("moving"),
    cancel: () => place(x, y),
    drop: (hit) => {
      if (isFree && !hit.bin) {
        runCommand(board, "arrange", { positions: { [name]: [node.x, node.y] } });
        return;
      }
      place(x, y);
      const nodes = affectedNodes(board, name);
      if (hit.bin) runCommand(board, "remove", { nodes });
      else if (otherFrame(hit)) runCommand(board, "move", { nodes, on: hit.frame.dataset.host });
    }
  };
}

/**
 * Open the form of a command. The kernel knows its fields, and what was filled in before.
 * @param {import("./board.js").Board} board
 * @param {string} kind
 * @param {object} given what is known of the command already
 * @param {WindowPoint} point
 * @param {(values: Record<string, string>, doing: Promise<void>) => Promise<void>} [whileDoing]
 *   called with what was filled in and with the command's promise, returns what to wait for
 * @returns {Promise<void>}
 */
export async function openCommandForm(board, kind, given, point, whileDoing = (_, doing) => doing) {
  try {
    const form = await board.request("form", { kind, given });
    openForm(board, point, {
      ...form,
      preview: async (values) => {
        const { lines } = await board.request("say", { kind, given, values });
        return lines.join("\n");
      },
      submit: (values) => whileDoing(values, perform(board, "submit", { kind, given, values }))
    });
  } catch (error) {
    showError(board, error.message);
  }
}

/**
 * Open the form that puts a role class on nodes; until it is done, the nodes have pending chips.
 * @param {import("./board.js").Board} board
 * @param {import("./palette.js").Entry} entry
 * @param {string[]} nodes
 * @param {WindowPoint} point
 */
export function openAssignForm(board, entry, nodes, point) {
  openCommandForm(board, "assign", { cls: entry.cls, nodes }, point, (values, doing) => {
    const chips = addPendingChips(board, values.name, nodes);
    return doing.finally(() => {
      for (const chip of chips) chip.remove();
    });
  });
}

function addPendingChips(board, role, nodes) {
  const chips = [];
  for (const name of nodes) {
    if (!board.cards.has(name)) continue;
    const chip = makeChip(board, { name: role }, "declaring");
    chip.classList.add("pending");
    board.cards.get(name).element.querySelector(".chips").append(chip);
    chips.push(chip);
  }
  return chips;
}

async function migrateRole(board, role, to, point) {
  try {
    await perform(board, "do", { gesture: "migrate", given: { role, to } });
  } catch (error) {
    if (!error.message.includes("conflicts='keep'")) {
      showError(board, error.message);
      return;
    }
    openMenu(board, point, error.message, [
      {
        text: `Move it, and use the relationships of ${to}`,
        onSelect: () => runCommand(board, "migrate", { role, to, conflicts: "keep" })
      },
      { text: "Leave it where it is", onSelect: () => {} }
    ]);
  }
}

async function openChannelMenu(board, address, point) {
  try {
    const channels = await board.request("channels", { address });
    const items = channels.map((channel) => ({
      text: channel,
      onSelect: () => openCommandForm(board, "call", { address, channel }, point)
    }));
    openMenu(board, point, `Call ${address}`, items);
  } catch (error) {
    showError(board, error.message);
  }
}

function openClassMenu(board, nodes, point) {
  const versionText = ({ version }) => (version > 1 ? `, v${version}` : "");
  const items = board.palette.map((entry) => ({
    text: entry.cls,
    hint: entry.library ? "library" : `notebook${versionText(entry)}`,
    onSelect: () => openAssignForm(board, entry, nodes, point)
  }));
  const where = nodes.length === 1 ? nodes[0] : `${nodes.length} nodes`;
  openMenu(board, point, `Put on ${where}`, items);
}

/**
 * Open the menu of a node; of the selection, if the node is in it.
 * @param {import("./board.js").Board} board
 * @param {string} name
 * @param {WindowPoint} point
 */
export function openNodeMenu(board, name, point) {
  const { node } = board.cards.get(name);
  const nodes = affectedNodes(board, name);
  const isOne = nodes.length === 1;
  const items = [];
  if (isOne)
    for (const role of node.roles)
      items.push({
        text: role.name,
        hint: `${role.cls} ›`,
        onSelect: () => openRoleMenu(board, `${name}/${role.name}`, point)
      });
  if (isOne && node.roles.length) items.push(null);
  else
    items.push({
      text: board.selected.has(name) ? "Take out of the selection" : "Select",
      hint: "Space",
      onSelect: () => toggleNode(board, name)
    });
  const role = node.roles[0]?.name ?? "";
  items.push(
    { text: "Put a role here …", onSelect: () => openClassMenu(board, nodes, point) },
    {
      text: "Let it know roles …",
      onSelect: () => openCommandForm(board, "relate", { nodes, role }, point)
    }
  );
  if (isOne)
    items.push({
      text: "Rename …",
      onSelect: () => openCommandForm(board, "rename", { node: name }, point)
    });
  const others = board.state.hosts.filter((host) => !host.lost && host.id !== node.host);
  for (const host of others.slice(0, MAX_HOSTS_IN_MENU))
    items.push({
      text: `Move to ${host.label}`,
      onSelect: () => runCommand(board, "move", { nodes, on: host.id })
    });
  items.push({
    text: isOne ? `Remove ${name}` : `Remove ${nodes.length} nodes`,
    hint: "Delete",
    danger: true,
    onSelect: () => runCommand(board, "remove", { nodes })
  });
  openMenu(board, point, isOne ? `Node ${name}` : `${nodes.length} selected nodes`, items);
}

/**
 * Open the menu of a role.
 * @param {import("./board.js").Board} board
 * @param {string} address "node/role"
 * @param {WindowPoint} point
 */
export function openRoleMenu(board, address, point) {
  const [node, role] = address.split("/");
  openMenu(board, point, address, [
    { text: "Show", onSelect: () => inspect(board, address) },
    {
      text: "Move to another node …",
      onSelect: () => openCommandForm(board, "migrate", { role: address }, point)
    },
    {
      text: "Let it know roles …",
      onSelect: () => openCommandForm(board, "relate", { nodes: [node], role }, point)
    },
    { text: "Call …", onSelect: () => openChannelMenu(board, address, point) },
    {
      text: "Terminate",
      danger: true,
      onSelect: () => runCommand(board, "terminate", { nodes: [node], name: role })
    }
  ]);
}

/**
 * Open the menu of an edge, which lets one node forget another.
 * @param {import("./board.js").Board} board
 * @param {any} pair
 * @param {WindowPoint} point
 */
export function openEdgeMenu(board, pair, point) {
  const items = pair.known.map(([node, relationship, member]) => ({
    text: `${node} forgets ${member}`,
    hint: relationship,
    danger: true,
    onSelect: () =>
      runCommand(board, "relate", {
        nodes: [node],
        relationship,
        instances: [member],
        remove: true
      })
  }));
  openMenu(board, point, `${pair.source} ${pair.both ? "↔" : "→"} ${pair.target}`, items);
}

/**
 * Undo the last command, or do the last undone one again.
 * @param {import("./board.js").Board} board
 * @param {"undo" | "redo"} kind
 * @returns {Promise<void>}
 */
export async function undoOrRedo(board, kind) {
  const note = kind === "undo" ? board.history.note : "";
  try {
    const lines = await board.request(kind);
    board.banner.hidden = true;
    board.announce([`${kind}: ${lines.join("; ")}`, note].filter(Boolean).join("; "));
  } catch (error) {
    showError(board, error.message);
  }
}
