// What the tabs draw with: a canvas as wide as the view, a tooltip by the pointer, the theme's
// colours, and shapes and text on the canvas.

import { clamp, tag } from "../base/common.js";
import { KINDS } from "./log.js";

const FONT = "system-ui, 'DejaVu Sans', sans-serif";
const COLOURS = "ground raised line ink faint accent wrong service task reply event other".split(
  " "
);
const COLOURS_INTERVAL_MS = 500;

/** A canvas that fills the width of the view, and a tooltip over it. */
export class Stage {
  /**
   * @param {import("../base/common.js").View} view
   * @param {number} height
   * @param {string} label for screen readers
   */
  constructor(view, height, label) {
    this.canvas = tag("canvas", { class: "stage", role: "img", "aria-label": label });
    this.tip = tag("div", { class: "tip", hidden: true });
    this.box = tag("div", { class: "box", style: `height:${height}px` }, this.canvas, this.tip);
    this.height = height;
    this.width = 0;
    /** @type {[number, number] | null} */
    this.pointer = null;
    this.dirty = true;
    const observer = new ResizeObserver(() => this.updateSize());
    observer.observe(this.box);
    view.signal.addEventListener("abort", () => observer.disconnect());
    const handlePointer = (event) => {
      this.pointer = [event.offsetX, event.offsetY];
      this.dirty = true;
    };
    this.canvas.addEventListener("pointermove", handlePointer);
    this.canvas.addEventListener("pointerdown", handlePointer);
    this.canvas.addEventListener("pointerleave", () => {
      this.pointer = null;
      this.tip.hidden = true;
      this.dirty = true;
    });
  }

  /** @param {number} height */
  resize(height) {
    if (height === this.height) return;
    this.height = height;
    this.box.style.height = `${height}px`;
    this.updateSize();
  }

  updateSize() {
    const ratio = window.devicePixelRatio || 1;
    this.width = this.box.clientWidth;
    this.canvas.width = Math.round(this.width * ratio);
    this.canvas.height = Math.round(this.height * ratio);
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.dirty = true;
  }

  get context() {
    return this.canvas.getContext("2d");
  }

  /**
   * Clear the canvas, and return its context.
   * @returns {CanvasRenderingContext2D}
   */
  clear() {
    const ctx = this.context;
    ctx.clearRect(0, 0, this.width, this.height);
    ctx.globalAlpha = 1;
    return ctx;
  }

  /**
   * Show lines of text by the pointer; null hides them.
   * @param {string[] | null} lines
   */
  showTip(lines) {
    const { tip, width, height, pointer } = this;
    tip.hidden = !lines || !pointer;
    if (tip.hidden) return;
    const text = lines.join("\n");
    if (tip.textContent !== text) tip.textContent = text;
    const [x, y] = pointer;
    tip.style.left = `${clamp(x + 14, 0, Math.max(0, width - tip.offsetWidth - 4))}px`;
    tip.style.top = `${clamp(y + 14, 0, Math.max(0, height - tip.offsetHeight - 4))}px`;
  }
}

/**
 * How text is drawn.
 * @typedef {object} TextStyle
 * @property {string} fill colour
 * @property {string} [halo] colour around it
 * @property {CanvasTextAlign} [align]
 * @property {number} [size] in pixels
 * @property {string} [weight] "" or that of CSS
 * @property {number} [width] the most that it may take
 */

/**
 * Draw text; `y` is its base line unless the context's `textBaseline` says otherwise.
 * @param {CanvasRenderingContext2D} ctx
 * @param {string | number} text
 * @param {number} x
 * @param {number} y
 * @param {TextStyle} style
 */
export function drawText(
  ctx,
  text,
  x,
  y,
  { fill, halo, align = "left", size = 12, weight = "", width }
) {
  ctx.font = `${weight} ${size}px ${FONT}`;
  ctx.textAlign = align;
  if (halo) {
    ctx.lineWidth = 3;
    ctx.strokeStyle = halo;
    ctx.strokeText(String(text), x, y);
  }
  ctx.fillStyle = fill;
  ctx.fillText(String(text), x, y, width);
}

/**
 * Draw the name of a column, which rises to the right from a point.
 * @param {CanvasRenderingContext2D} ctx
 * @param {string} text
 * @param {number} x
 * @param {number} y
 * @param {TextStyle} style
 */
export function drawSlanted(ctx, text, x, y, style) {
  ctx.save();
  ctx.translate(x, y);
  ctx.rotate(-Math.PI / 4);
  drawText(ctx, text, 0, 0, style);
  ctx.restore();
}

/**
 * Fill a rectangle.
 * @param {CanvasRenderingContext2D} ctx
 * @param {string} colour
 * @param {[number, number, number, number]} rectangle x, y, width and height
 */
export function fillBox(ctx, colour, ...rectangle) {
  ctx.fillStyle = colour;
  ctx.fillRect(...rectangle);
}

/**
 * Draw the border of a rectangle.
 * @param {CanvasRenderingContext2D} ctx
 * @param {string} colour
 * @param {[number, number, number, number]} rectangle x, y, width and height
 */
export function strokeBox(ctx, colour, ...rectangle) {
  ctx.strokeStyle = colour;
  ctx.lineWidth = 1.5;
  ctx.strokeRect(...rectangle);
}

/**
 * Draw a line through points.
 * @param {CanvasRenderingContext2D} ctx
 * @param {string} colour
 * @param {number} width
 * @param {...[number, number]} points
 */
export function drawLine(ctx, colour, width, ...points) {
  ctx.strokeStyle = colour;
  ctx.lineWidth = width;
  ctx.beginPath();
  for (const point of points) ctx.lineTo(...point);
  ctx.stroke();
}

/**
 * Make a button.
 * @param {string} text
 * @param {string} title
 * @param {() => void} onclick
 * @param {Record<string, any>} [attributes]
 * @returns {HTMLButtonElement}
 */
export function button(text, title, onclick, attributes) {
  return tag("button", { title, "aria-label": title, onclick, ...attributes }, text);
}

/**
 * Make an option of a select.
 * @param {string} value
 * @param {string} [text]
 * @param {boolean} [selected]
 * @returns {HTMLOptionElement}
 */
export function option(value, text = value, selected = false) {
  return tag("option", { value, selected }, text);
}

/**
 * Make the dot in the colour of a kind or an outcome.
 * @param {string} colour one of the theme
 * @returns {HTMLElement}
 */
export function colourDot(colour) {
  return tag("i", { class: "dot", style: `background:var(--${colour})` });
}

/**
 * Return the theme's colour of a kind of messages.
 * @param {number} kind index in KINDS
 * @returns {string}
 */
export function kindColour(kind) {
  return KINDS[kind];
}

/** @typedef {Record<string, string>} Colours the theme's colours by name, as a canvas takes them */

/**
 * Return the theme's colours, which are read anew twice a second, since the theme may change.
 * @param {HTMLElement} root
 * @param {AbortSignal} signal ends it
 * @param {() => void} onChange
 * @returns {Colours}
 */
export function followColours(root, signal, onChange) {
  /** @type {Colours} */
  const colours = {};
  const probe = tag("i", { hidden: true });
  root.append(probe);
  const update = () => {
    const before = colours.ink;
    for (const name of COLOURS) {
      probe.style.color = `var(--${name})`;
      colours[name] = getComputedStyle(probe).color;
    }
    if (colours.ink !== before) onChange();
  };
  update();
  const timer = setInterval(update, COLOURS_INTERVAL_MS);
  signal.addEventListener("abort", () => clearInterval(timer));
  return colours;
}
