// The messages that a page knows: a ring of the last ones, the flows that they belong to, and what
// handlers were at work.

export const RING = 60000; // messages
export const WORKS = 20000; // executions of handlers
export const KINDS = ["service", "task", "reply", "event", "other"];
const ANSWERS = new Set(["reply", "error", "moved"]);

const COLUMNS = Object.entries({
  flow: Uint32Array,
  call: Uint32Array,
  note: Uint16Array,
  sent: Float64Array,
  latency: Float32Array,
  bytes: Float64Array
});

function ring(size) {
  return Object.fromEntries(COLUMNS.map(([name, Type]) => [name, new Type(size)]));
}

// A column of numbers out of a message of the kernel.
function column(Type, view) {
  return new Type(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
}

export class Log {
  constructor() {
    this.clear();
  }

  clear() {
    Object.assign(this, {
      ring: ring(RING),
      head: 0,
      flows: [],
      notes: [],
      nodes: [],
      numbers: new Map(),
      version: 0,
      every: 1,
      begins: [Infinity, Infinity],
      end: 0,
      now: 0,
      works: {
        flow: new Uint32Array(WORKS),
        begin: new Float64Array(WORKS),
        end: new Float64Array(WORKS),
        row: new Float64Array(WORKS)
      },
      worked: 0,
      open: new Map(),
      early: new Map()
    });
  }

  get first() {
    return Math.max(0, this.head - RING);
  }

  // Take in a batch: {flows, notes, every, gone, now} and buffers of columns.
  take({ flows, notes, every, gone, now }, buffers) {
    for (const flow of flows) this.addFlow(...flow);
    this.notes.push(...notes);
    Object.assign(this, { every, gone, now });
    const columns = COLUMNS.map(([, Type], place) => column(Type, buffers[place]));
    const [flow, call, , sent, latency] = columns;
    for (let row = 0; row < flow.length; row += 1) {
      const slot = this.head % RING;
      COLUMNS.forEach(([name], place) => {
        this.ring[name][slot] = columns[place][row];
      });
      const of = this.flows[flow[row]];
      if (sent[row] < this.begins[1]) this.begins[1] = sent[row];
      if (!of.steering && sent[row] < this.begins[0]) this.begins[0] = sent[row];
      this.work(of, flow[row], call[row], sent[row], latency[row]);
      this.head += 1;
    }
    if (flow.length) {
      this.end = Math.max(this.end, sent[flow.length - 1] + latency[flow.length - 1]);
      if (this.head > RING)
        this.begins = this.begins.map((time) => Math.max(time, this.ring.sent[this.head % RING]));
    }
    this.count(column(Uint32Array, buffers[6]), column(Float64Array, buffers[7]));
  }

  addFlow(source, target, channel, kind) {
    const [from, to] = [source, target].map((name) => this.node(name.split("/")[0]));
    const steering = source.endsWith("/actor") || target.endsWith("/actor");
    this.flows.push({
      source,
      target,
      channel,
      kind,
      from,
      to,
      steering,
      colour: Math.max(0, KINDS.indexOf(KINDS.includes(kind) ? kind : "other")),
      answer: ANSWERS.has(kind),
      messages: 0,
      bytes: 0,
      seconds: 0,
      travelled: 0,
      lost: 0
    });
    this.version += 1;
  }

  node(name) {
    if (!this.numbers.has(name)) {
      this.numbers.set(name, this.nodes.length);
      this.nodes.push(name);
      this.version += 1;
    }
    return this.numbers.get(name);
  }

  count(numbers, totals) {
    numbers.forEach((number, row) => {
      const [messages, size, seconds, lost] = totals.subarray(4 * row, 4 * row + 4);
      Object.assign(this.flows[number], {
        messages,
        bytes: size,
        seconds,
        lost,
        travelled: seconds ? messages : 0
      });
    });
  }

  // A handler is at work from when its call has arrived until its answer is sent; of two hosts, the
  // answer may be told first.
  work(flow, number, call, sent, latency) {
    if (!call) return;
    if (flow.answer) {
      const key = `${call} ${flow.target} ${flow.source}`;
      const slot = this.open.get(key);
      if (slot === undefined) keep(this.early, key, sent);
      else this.works.end[slot] = sent;
      this.open.delete(key);
      return;
    }
    const key = `${call} ${flow.source} ${flow.target}`;
    const slot = this.worked % WORKS;
    this.works.flow[slot] = number;
    this.works.begin[slot] = sent + latency;
    this.works.end[slot] = this.early.get(key) ?? Infinity;
    this.works.row[slot] = this.head;
    this.worked += 1;
    if (!this.early.delete(key)) keep(this.open, key, slot);
  }

  // The first row that was sent at `time` or later, as far as they are in order; callers allow for
  // a little disorder.
  find(time) {
    let low = this.first;
    let high = this.head;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.ring.sent[middle % RING] < time) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  // When the last message of these flows was received.
  lastOf(flows) {
    for (let row = this.head - 1; row >= this.first; row -= 1) {
      const slot = row % RING;
      if (flows[this.ring.flow[slot]]) return this.ring.sent[slot] + this.ring.latency[slot];
    }
    return this.end;
  }

  // Whether a handler of these flows is at work.
  atWork(flows) {
    for (const slot of this.open.values()) if (flows[this.works.flow[slot]]) return true;
    return false;
  }

  // A message in words.
  describe(row) {
    const slot = row % RING;
    const { flow, call, note, sent, latency, bytes: size } = this.ring;
    const { source, target, channel, kind, answer } = this.flows[flow[slot]];
    const [link, outcome, line] = this.notes[note[slot]] ?? ["", "", ""];
    return {
      source,
      target,
      channel,
      kind,
      answer,
      call: call[slot],
      bytes: size[slot],
      link,
      outcome,
      line,
      sent: sent[slot],
      latency: latency[slot]
    };
  }
}

export const LATENCY =
  "from when a message was sent until it was received, on average, by the clocks of both;" +
  " – within one process, where it is handed over at once";

// Put into a map that forgets its oldest.
function keep(map, key, value) {
  map.set(key, value);
  if (map.size > WORKS / 2) map.delete(map.keys().next().value);
}

// The mean of what has crossed from one process to another.
export function latency({ seconds, travelled }) {
  return travelled ? duration(seconds / travelled) : "–";
}

export function onTheWay(seconds) {
  return seconds ? `${duration(seconds)} on the way` : "within one process";
}

// 1,234.
export function grouped(number) {
  return number.toLocaleString("en");
}

export const naturally = new Intl.Collator("en", { numeric: true }).compare;

export function duration(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  const size = Math.abs(seconds);
  if (size < 1e-6) return "< 1 µs";
  if (size < 1e-3) return `${(seconds * 1e6).toFixed(0)} µs`;
  if (size < 1) return `${(seconds * 1e3).toPrecision(3)} ms`;
  return `${size < 100 ? seconds.toPrecision(3) : seconds.toFixed(0)} s`;
}

// Add a flow, or several, to the one of that key.
export function add(sums, key, flow, made, flows = [flow]) {
  if (!sums.has(key))
    sums.set(key, { ...made, messages: 0, bytes: 0, seconds: 0, travelled: 0, lost: 0 });
  const sum = sums.get(key);
  for (const one of flows) {
    sum.messages += one.messages;
    sum.bytes += one.bytes;
    sum.seconds += one.seconds;
    sum.travelled += one.travelled;
    sum.lost += one.lost;
  }
  return sum;
}
