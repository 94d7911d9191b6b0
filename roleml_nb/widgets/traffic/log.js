// The messages that a page knows: a ring of the last ones, the flows that they belong to, the
// executions of handlers, and sums over them.

/** Messages that the ring holds. */
export const RING_SIZE = 60000;
/** Executions of handlers that are kept. */
export const MAX_EXECUTIONS = 20000;
/** Seconds: messages that were longer on the way are not looked for when a time is drawn. */
export const MAX_LATENCY_S = 5;
/** Seconds by which messages are out of order at most. */
export const MAX_DISORDER_S = 0.3;
/** Kinds of messages, in the order of their colours. */
export const KINDS = ["service", "task", "reply", "event", "other"];
const REPLY_KINDS = new Set(["reply", "error", "moved"]);

/**
 * Sums over messages.
 * @typedef {object} Totals
 * @property {number} messages
 * @property {number} bytes
 * @property {number} seconds on the way
 * @property {number} travelled messages that crossed from one process to another
 * @property {number} lost
 */

/**
 * The messages of one kind on one channel, from one role to another.
 * @typedef {object} FlowOnly
 * @property {string} source "node/role"
 * @property {string} target "node/role"
 * @property {string} channel
 * @property {string} kind
 * @property {number} from index of the source's node
 * @property {number} to index of the target's node
 * @property {boolean} isControl true for messages by which the testbed steers nodes
 * @property {number} kindIndex in KINDS
 * @property {boolean} isReply
 *
 * @typedef {FlowOnly & Totals} Flow
 */

/**
 * The sum of all flows from one node to another; a part is [name, messages, bytes].
 * @typedef {Totals & {from: number, to: number, parts: [string, number, number][]}} Pair
 */

/**
 * A batch as the kernel sends it; the columns of its messages are in buffers beside it.
 * @typedef {object} Batch
 * @property {[string, string, string, string][]} flows source, target, channel and kind of new ones
 * @property {[string, string, string][]} notes link, outcome and line of code, where new
 * @property {number} every one message in so many is drawn
 * @property {number} gone messages of which only totals are kept
 * @property {number} now
 */

const COLUMNS = Object.entries({
  flow: Uint32Array,
  call: Uint32Array,
  note: Uint16Array,
  sent: Float64Array,
  latency: Float32Array,
  bytes: Float64Array
});

/** @type {Totals} */
const NO_MESSAGES = { messages: 0, bytes: 0, seconds: 0, travelled: 0, lost: 0 };

// Return a column of numbers out of a message of the kernel.
function toColumn(Type, view) {
  return new Type(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
}

/** The last messages, and totals of all. A message has a row, and while it is kept, a slot. */
export class Log {
  constructor() {
    this.clear();
  }

  clear() {
    /** @type {Record<string, any>} */
    this.ring = {};
    for (const [name, Type] of COLUMNS) this.ring[name] = new Type(RING_SIZE);
    this.head = 0; // the row of the next message
    /** @type {Flow[]} */
    this.flows = [];
    /** @type {[string, string, string][]} */
    this.notes = [];
    /** @type {string[]} */
    this.nodes = [];
    /** @type {Map<string, number>} */
    this.nodeIndices = new Map();
    this.version = 0; // of flows and nodes
    this.every = 1;
    this.gone = 0;
    this.begins = [Infinity, Infinity]; // without and with control messages
    this.end = 0;
    this.now = 0;
    this.executions = {
      flow: new Uint32Array(MAX_EXECUTIONS),
      begin: new Float64Array(MAX_EXECUTIONS),
      end: new Float64Array(MAX_EXECUTIONS),
      row: new Float64Array(MAX_EXECUTIONS)
    };
    this.executed = 0;
    /** @type {Map<string, number>} */
    this.running = new Map(); // slots by call
    /** @type {Map<string, number>} */
    this.earlyReplies = new Map(); // times by call
  }

  get first() {
    return Math.max(0, this.head - RING_SIZE);
  }

  get executionSlots() {
    return Math.min(this.executed, MAX_EXECUTIONS);
  }

  /**
   * Add a batch.
   * @param {Batch} batch
   * @param {DataView[]} buffers the columns of its messages, the indices of flows, their totals
   */
  addBatch({ flows, notes, every, gone, now }, buffers) {
    for (const flow of flows) this.addFlow(...flow);
    this.notes.push(...notes);
    this.every = every;
    this.gone = gone;
    this.now = now;
    const columns = COLUMNS.map(([, Type], index) => toColumn(Type, buffers[index]));
    const [flow, call, , sent, latency] = columns;
    for (let row = 0; row < flow.length; row += 1) {
      const slot = this.head % RING_SIZE;
      COLUMNS.forEach(([name], index) => {
        this.ring[name][slot] = columns[index][row];
      });
      const { isControl } = this.flows[flow[row]];
      if (sent[row] < this.begins[1]) this.begins[1] = sent[row];
      if (!isControl && sent[row] < this.begins[0]) this.begins[0] = sent[row];
      this.addExecution(flow[row], call[row], sent[row], latency[row]);
      this.head += 1;
    }
    if (flow.length) {
      this.end = Math.max(this.end, sent[flow.length - 1] + latency[flow.length - 1]);
      if (this.head > RING_SIZE) {
        const oldest = this.ring.sent[this.head % RING_SIZE];
        this.begins = this.begins.map((time) => Math.max(time, oldest));
      }
    }
    this.setTotals(toColumn(Uint32Array, buffers[6]), toColumn(Float64Array, buffers[7]));
  }

  addFlow(source, target, channel, kind) {
    this.flows.push({
      source,
      target,
      channel,
      kind,
      from: this.nodeIndex(source.split("/")[0]),
      to: this.nodeIndex(target.split("/")[0]),
      isControl: source.endsWith("/actor") || target.endsWith("/actor"),
      kindIndex: KINDS.indexOf(KINDS.includes(kind) ? kind : "other"),
      isReply: REPLY_KINDS.has(kind),
      ...NO_MESSAGES
    });
    this.version += 1;
  }

  /**
   * Return the index of a node, which is added if it is new.
   * @param {string} name
   * @returns {number}
   */
  nodeIndex(name) {
    if (!this.nodeIndices.has(name)) {
      this.nodeIndices.set(name, this.nodes.length);
      this.nodes.push(name);
      this.version += 1;
    }
    return this.nodeIndices.get(name);
  }

  setTotals(indices, totals) {
    indices.forEach((index, row) => {
      const [messages, bytes, seconds, lost] = totals.subarray(4 * row, 4 * row + 4);
      const travelled = seconds ? messages : 0;
      Object.assign(this.flows[index], { messages, bytes, seconds, travelled, lost });
    });
  }

  // A handler executes from when its call has arrived until its reply is sent. The reply may come
  // first, since each host sends its own messages.
  addExecution(index, call, sent, latency) {
    if (!call) return;
    const { source, target, isReply } = this.flows[index];
    const { flow, begin, end, row } = this.executions;
    if (isReply) {
      const key = `${call} ${target} ${source}`;
      const slot = this.running.get(key);
      if (slot === undefined) setBounded(this.earlyReplies, key, sent);
      else end[slot] = sent;
      this.running.delete(key);
      return;
    }
    const key = `${call} ${source} ${target}`;
    const slot = this.executed % MAX_EXECUTIONS;
    flow[slot] = index;
    begin[slot] = sent + latency;
    end[slot] = this.earlyReplies.get(key) ?? Infinity;
    row[slot] = this.head;
    this.executed += 1;
    if (!this.earlyReplies.delete(key)) setBounded(this.running, key, slot);
  }

  /**
   * Return the first row that was sent at `time` or later, as far as rows are in order; callers
   * allow for a little disorder.
   * @param {number} time
   * @returns {number}
   */
  findRow(time) {
    let low = this.first;
    let high = this.head;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.ring.sent[middle % RING_SIZE] < time) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /**
   * Return when the last message of some flows was received.
   * @param {boolean[]} mask per flow
   * @returns {number}
   */
  lastReceived(mask) {
    for (let row = this.head - 1; row >= this.first; row -= 1) {
      const slot = row % RING_SIZE;
      if (mask[this.ring.flow[slot]]) return this.ring.sent[slot] + this.ring.latency[slot];
    }
    return this.end;
  }

  /**
   * True while a handler of some flows executes.
   * @param {boolean[]} mask per flow
   * @returns {boolean}
   */
  isExecuting(mask) {
    for (const slot of this.running.values()) if (mask[this.executions.flow[slot]]) return true;
    return false;
  }

  /**
   * Return the indices of the nodes whose handlers execute at a time.
   * @param {number} time
   * @param {boolean[]} mask per flow
   * @returns {Set<number>}
   */
  executingNodes(time, mask) {
    const nodes = new Set();
    const { begin, end, flow } = this.executions;
    for (let slot = 0; slot < this.executionSlots; slot += 1)
      if (begin[slot] <= time && end[slot] > time && mask[flow[slot]])
        nodes.add(this.flows[flow[slot]].to);
    return nodes;
  }

  /**
   * Return the fields of a message.
   * @param {number} row
   */
  describe(row) {
    const slot = row % RING_SIZE;
    const { flow, call, note, sent, latency, bytes } = this.ring;
    const { source, target, channel, kind, isReply } = this.flows[flow[slot]];
    const [link, outcome, line] = this.notes[note[slot]] ?? ["", "", ""];
    return {
      source,
      target,
      channel,
      kind,
      isReply,
      call: call[slot],
      bytes: bytes[slot],
      link,
      outcome,
      line,
      sent: sent[slot],
      latency: latency[slot]
    };
  }
}

// Add to a map that drops its oldest entries.
function setBounded(map, key, value) {
  map.set(key, value);
  if (map.size > MAX_EXECUTIONS / 2) map.delete(map.keys().next().value);
}

function addTotals(sum, flow) {
  sum.messages += flow.messages;
  sum.bytes += flow.bytes;
  sum.seconds += flow.seconds;
  sum.travelled += flow.travelled;
  sum.lost += flow.lost;
}

/**
 * Return the totals of several flows.
 * @param {Iterable<Totals>} flows
 * @returns {Totals}
 */
export function sumFlows(flows) {
  const sum = { ...NO_MESSAGES };
  for (const flow of flows) addTotals(sum, flow);
  return sum;
}

/**
 * Add a flow's totals to the sum of a key, and return the sum.
 * @template {Record<string, any>} Fields
 * @template Key
 * @param {Map<Key, Fields & Totals>} sums
 * @param {Key} key
 * @param {Totals} flow
 * @param {Fields} fields that a new sum has besides its totals
 * @returns {Fields & Totals}
 */
export function addToSums(sums, key, flow, fields) {
  let sum = sums.get(key);
  if (!sum) {
    sum = { ...fields, ...NO_MESSAGES };
    sums.set(key, sum);
  }
  addTotals(sum, flow);
  return sum;
}

/**
 * Return the key of two nodes.
 * @param {number} from index of a node
 * @param {number} to index of a node
 * @returns {number}
 */
export function pairKey(from, to) {
  return from * 65536 + to;
}

/**
 * Sum flows by the nodes that they go from and to.
 * @param {Iterable<Flow>} flows
 * @returns {Map<number, Pair>} by `pairKey`
 */
export function sumPairs(flows) {
  const pairs = new Map();
  for (const flow of flows) {
    const { from, to, kind, channel, messages, bytes } = flow;
    const pair = addToSums(pairs, pairKey(from, to), flow, { from, to, parts: [] });
    pair.parts.push([`${kind} ${channel}`, messages, bytes]);
  }
  return pairs;
}
