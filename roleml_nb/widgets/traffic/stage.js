// What the tabs draw on: a canvas as wide as the view, its colours, a tip by the pointer, and one
// filter for all.

import { clamp, tag } from "../base/common.js";
import { KINDS } from "./log.js";

export class Stage {
  constructor(view, high) {
    this.view = view;
    this.canvas = tag("canvas", { class: "stage", role: "img" });
    this.tip = tag("div", { class: "tip", hidden: true });
    this.box = tag("div", { class: "box", style: `height:${high}px` }, this.canvas, this.tip);
    this.high = high;
    this.wide = 0;
    this.pointer = null;
    this.dirty = true;
    const observer = new ResizeObserver(() => this.fit());
    observer.observe(this.box);
    view.signal.addEventListener("abort", () => observer.disconnect());
    const where = (event) => {
      this.pointer = [event.offsetX, event.offsetY];
      this.dirty = true;
    };
    this.canvas.addEventListener("pointermove", where);
    this.canvas.addEventListener("pointerdown", where);
    this.canvas.addEventListener("pointerleave", () => {
      this.pointer = null;
      this.tip.hidden = true;
      this.dirty = true;
    });
  }

  resize(high) {
    if (high === this.high) return;
    this.high = high;
    this.box.style.height = `${high}px`;
    this.fit();
  }

  fit() {
    const sharp = window.devicePixelRatio || 1;
    this.wide = this.box.clientWidth;
    this.canvas.width = Math.round(this.wide * sharp);
    this.canvas.height = Math.round(this.high * sharp);
    this.canvas.getContext("2d").setTransform(sharp, 0, 0, sharp, 0, 0);
    this.dirty = true;
  }

  begin() {
    const pen = this.canvas.getContext("2d");
    pen.clearRect(0, 0, this.wide, this.high);
    pen.globalAlpha = 1;
    return pen;
  }

  // Lines of text by the pointer; none to hide it.
  say(lines) {
    const { tip, wide, high, pointer } = this;
    tip.hidden = !lines || !pointer;
    if (tip.hidden) return;
    const text = lines.join("\n");
    if (tip.textContent !== text) tip.textContent = text;
    const [x, y] = pointer;
    const right = Math.max(0, wide - tip.offsetWidth - 4);
    const end = Math.max(0, high - tip.offsetHeight - 4);
    tip.style.left = `${clamp(x + 14, 0, right)}px`;
    tip.style.top = `${clamp(y + 14, 0, end)}px`;
  }
}

// Text on a canvas; its y is that of the base line unless `pen` says otherwise.
export function write(pen, text, x, y, { fill, align = "left", size = 12, bold = "", wide } = {}) {
  pen.font = `${bold} ${size}px system-ui, 'DejaVu Sans', sans-serif`;
  pen.textAlign = align;
  pen.fillStyle = fill;
  pen.fillText(text, x, y, wide);
}

export function button(text, title, onclick, more) {
  return tag("button", { title, "aria-label": title, onclick, ...more }, text);
}

export function box(pen, fill, ...place) {
  pen.fillStyle = fill;
  pen.fillRect(...place);
}

// An outline, or a line when there are but two points: [x, y], …
export function outline(pen, colour, wide, ...points) {
  pen.strokeStyle = colour;
  pen.lineWidth = wide;
  pen.beginPath();
  for (const point of points) pen.lineTo(...point);
  pen.stroke();
}

// The colours of the theme, as a canvas takes them: read anew twice a second, since the theme may
// change.
export class Palette {
  constructor(root) {
    this.probe = tag("i", { hidden: true });
    root.append(this.probe);
    this.read();
    this.timer = setInterval(() => this.read(), 500);
  }

  read() {
    const names = [
      "ground",
      "raised",
      "line",
      "ink",
      "faint",
      "accent",
      "wrong",
      "service",
      "task",
      "reply",
      "event"
    ];
    const before = this.ink;
    for (const name of names) {
      this.probe.style.color = `var(--${name})`;
      this[name] = getComputedStyle(this.probe).color;
    }
    this.other = this.faint;
    if (this.ink !== before) this.changed?.();
  }

  kind(number) {
    return this[KINDS[number]];
  }

  close() {
    clearInterval(this.timer);
  }
}

// Which flows are shown.
export class Filter {
  constructor(log) {
    Object.assign(this, {
      log,
      node: "",
      role: "",
      channel: "",
      hidden: new Set(),
      steering: false,
      version: -1,
      shown: []
    });
  }

  change(values) {
    Object.assign(this, values);
    this.version = -1;
  }

  // One truth value per flow.
  get flows() {
    if (this.version !== this.log.version) {
      this.shown = this.log.flows.map((flow) => this.has(flow));
      this.version = this.log.version;
    }
    return this.shown;
  }

  has({ source, target, channel, colour, steering }) {
    if (steering && !this.steering) return false;
    if (this.hidden.has(colour) || (this.channel && channel !== this.channel)) return false;
    const [from, to] = [source.split("/"), target.split("/")];
    if (this.node && from[0] !== this.node && to[0] !== this.node) return false;
    return !this.role || from[1] === this.role || to[1] === this.role;
  }
}

export function bytes(count) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let place = 0;
  for (; count >= 1000 && place < units.length - 1; place += 1) count /= 1000;
  return `${place && count < 100 ? count.toPrecision(3) : Math.round(count)} ${units[place]}`;
}
