// The choice of flows that are shown, and the row of controls for it.

import { tag } from "../base/common.js";
import { compareNaturally } from "./format.js";
import { KINDS } from "./log.js";
import { colourDot, kindColour, option } from "./stage.js";

const KIND_TITLES = {
  service: "calls whose caller waits",
  task: "calls whose caller goes on",
  reply: "answers to calls, and errors",
  event: "what roles emit",
  other: "subscriptions, and what moves a role"
};

/** The choice of flows that are shown. */
export class Filter {
  /** @param {import("./log.js").Log} log */
  constructor(log) {
    this.log = log;
    this.node = ""; // "" for all
    this.role = "";
    this.channel = "";
    /** @type {Set<number>} */
    this.hidden = new Set(); // of indices in KINDS
    this.showControl = false;
    this.version = -1; // of the log, when the mask was made
    this.flowMask = [];
  }

  /** @param {object} values of the filter's properties that change */
  update(values) {
    Object.assign(this, values);
    this.version = -1;
  }

  /**
   * True or false per flow.
   * @returns {boolean[]}
   */
  get mask() {
    if (this.version !== this.log.version) {
      this.flowMask = this.log.flows.map((flow) => this.matches(flow));
      this.version = this.log.version;
    }
    return this.flowMask;
  }

  /**
   * The flows that are shown and have messages.
   * @returns {import("./log.js").Flow[]}
   */
  get busyFlows() {
    const { mask, log } = this;
    return log.flows.filter((flow, index) => mask[index] && flow.messages);
  }

  matches({ source, target, channel, kindIndex, isControl }) {
    if (isControl && !this.showControl) return false;
    if (this.hidden.has(kindIndex) || (this.channel && channel !== this.channel)) return false;
    const [from, to] = [source.split("/"), target.split("/")];
    if (this.node && from[0] !== this.node && to[0] !== this.node) return false;
    return !this.role || from[1] === this.role || to[1] === this.role;
  }
}

// Make the buttons that hide and show a kind of messages.
function makeLegend(filter, scheduleDraw) {
  return KINDS.map((kind, index) =>
    tag(
      "button",
      {
        class: "kind",
        "aria-pressed": "true",
        "data-kind": kind,
        title: `show or hide: ${KIND_TITLES[kind]}`,
        onclick: (event) => {
          const hidden = new Set(filter.hidden);
          if (!hidden.delete(index)) hidden.add(index);
          event.currentTarget.setAttribute("aria-pressed", String(!hidden.has(index)));
          filter.update({ hidden });
          scheduleDraw();
        }
      },
      colourDot(kindColour(index)),
      kind
    )
  );
}

/**
 * Make the row of filters.
 * @param {import("./log.js").Log} log
 * @param {Filter} filter
 * @param {() => void} scheduleDraw
 * @returns {{element: HTMLElement, updateOptions: () => void, selectNode: (node: string) => void}}
 *   `updateOptions` offers the nodes, roles and channels that there are by now
 */
export function makeFilters(log, filter, scheduleDraw) {
  const update = (values) => {
    filter.update(values);
    scheduleDraw();
  };
  const select = (name) =>
    tag(
      "select",
      {
        class: name,
        "aria-label": name,
        onchange: (event) => update({ [name]: event.target.value })
      },
      option("", `all ${name}s`)
    );
  const selects = { node: select("node"), role: select("role"), channel: select("channel") };
  const showControl = tag("input", {
    type: "checkbox",
    onchange: () => update({ showControl: showControl.checked })
  });
  const element = tag(
    "div",
    { class: "filters" },
    ...makeLegend(filter, scheduleDraw),
    ...Object.values(selects),
    tag(
      "label",
      { title: "messages that the testbed itself sends to steer nodes" },
      showControl,
      " steering"
    )
  );
  let version = -1; // of the log, when the options were made
  const updateOptions = () => {
    if (version === log.version) return;
    version = log.version;
    const names = { node: new Set(log.nodes), role: new Set(), channel: new Set() };
    for (const { source, target, channel, isControl } of log.flows) {
      if (isControl && !filter.showControl) continue;
      names.channel.add(channel);
      for (const address of [source, target]) names.role.add(address.split("/")[1]);
    }
    for (const [name, box] of Object.entries(selects)) {
      const sorted = [...names[name]].sort(compareNaturally);
      box.replaceChildren(
        box.firstElementChild,
        ...sorted.map((value) => option(value, value, value === filter[name]))
      );
    }
  };
  const selectNode = (node) => {
    selects.node.value = node;
    update({ node });
  };
  return { element, updateOptions, selectNode };
}
