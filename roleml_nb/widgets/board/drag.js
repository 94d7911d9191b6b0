// Dragging with a pointer: what is dragged follows it, what it may be dropped on lights up, Escape
// drops it nowhere.

import { tag } from "../base/common.js";
import { selectNodes } from "./actions.js";

const CLICK_SLOP_PX = 4; // that the pointer may move while a press is still a click
const MIN_FRAME_PX = 6; // width and height of a frame that selects
const HIT_KINDS = ["chip", "card", "bin", "frame", "stage"];

/**
 * The elements under the pointer, by the class that they have; null or undefined for none.
 * @typedef {Partial<Record<"chip" | "card" | "bin" | "frame" | "stage", HTMLElement | null>>} Hit
 */

/** @typedef {{x: number, y: number}} WindowPoint in pixels of the window */

/**
 * What is dragged while the pointer is down.
 * @typedef {object} Drag
 * @property {string} text shown beside the pointer
 * @property {string} [hue] its colour
 * @property {(hit: Hit) => HTMLElement | null | undefined} findTarget returns the element to be lit
 *   up: a drop there would do something
 * @property {(hit: Hit, point: WindowPoint) => void} drop called when it is let go
 * @property {(dx: number, dy: number) => void} [move] called with the distance from the press; the
 *   text is hidden then
 * @property {() => void} [cancel] called when it is dropped nowhere
 * @property {() => void} [end] called last, in any case
 */

/**
 * Begin a drag at each press on an element.
 * @param {import("./board.js").Board} board
 * @param {HTMLElement} handle
 * @param {(press: PointerEvent) => Drag | null} begin
 */
export function makeDraggable(board, handle, begin) {
  handle.addEventListener("pointerdown", (press) => {
    if (press.button !== 0 || press.defaultPrevented) return;
    const drag = begin(press);
    if (!drag) return;
    press.stopPropagation();
    /** @type {HTMLElement | null} */
    let ghost = null;
    /** @type {HTMLElement | null} */
    let target = null;
    const controller = new AbortController();
    const options = { signal: controller.signal };
    const setTarget = (next) => {
      if (next === target) return;
      target?.classList.remove("target");
      next?.classList.add("target");
      target = next;
    };
    const finish = () => {
      setTarget(null);
      ghost?.remove();
      board.root.classList.remove("dragging");
      controller.abort();
      drag.end?.();
    };
    const cancel = () => {
      drag.cancel?.();
      finish();
    };
    const showGhost = () => {
      try {
        handle.setPointerCapture(press.pointerId);
      } catch {
        /* the element is gone, or the pointer is */
      }
      board.root.classList.add("dragging");
      ghost = tag("div", { class: "ghost", popover: "manual" }, drag.text);
      if (drag.hue) ghost.style.setProperty("--hue", drag.hue);
      if (drag.move) ghost.hidden = true;
      board.root.append(ghost);
      ghost.showPopover();
    };
    const handleMove = (event) => {
      const dx = event.clientX - press.clientX;
      const dy = event.clientY - press.clientY;
      if (!ghost && Math.hypot(dx, dy) < CLICK_SLOP_PX) return;
      if (!ghost) showGhost();
      ghost.style.left = `${event.clientX + 10}px`;
      ghost.style.top = `${event.clientY + 8}px`;
      drag.move?.(dx / board.scale, dy / board.scale);
      setTarget(drag.findTarget(findHit(board, event)) ?? null);
    };
    const handleUp = (event) => {
      const moved = Boolean(ghost);
      const hit = findHit(board, event);
      finish();
      if (!moved) return;
      handle.addEventListener("click", swallow, { capture: true, once: true });
      drag.drop(hit, { x: event.clientX, y: event.clientY });
    };
    const handleKeydown = (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      cancel();
    };
    document.addEventListener("pointermove", handleMove, options);
    document.addEventListener("pointerup", handleUp, options);
    document.addEventListener("pointercancel", cancel, options);
    document.addEventListener("keydown", handleKeydown, { ...options, capture: true });
    board.signal.addEventListener("abort", finish, options);
  });
}

function swallow(event) {
  event.stopPropagation();
  event.preventDefault();
}

/**
 * Return the elements under the pointer.
 * @param {import("./board.js").Board} board
 * @param {PointerEvent} event
 * @returns {Hit}
 */
function findHit(board, event) {
  /** @type {Hit} */
  const hit = {};
  for (const element of board.shadow.elementsFromPoint(event.clientX, event.clientY)) {
    if (!board.root.contains(element) || element.closest(".popup, .ghost")) continue;
    for (const kind of HIT_KINDS) hit[kind] ??= element.closest(`.${kind}`);
  }
  return hit;
}

/**
 * Select the nodes in the frame that is dragged open beside them.
 * @param {import("./board.js").Board} board
 */
export function selectByFrame(board) {
  const { stage } = board;
  stage.addEventListener("pointerdown", (press) => {
    if (press.button !== 0 || /** @type {Element} */ (press.target).closest(".card, .reach"))
      return;
    const before = press.shiftKey ? [...board.selected] : [];
    const ground = stage.getBoundingClientRect();
    if (
      press.clientX - ground.left > stage.clientWidth ||
      press.clientY - ground.top > stage.clientHeight
    )
      return; // a scroll bar
    const frame = tag("div", { class: "lasso" });
    const controller = new AbortController();
    const toSheet = (event) => [
      event.clientX - ground.left + stage.scrollLeft,
      event.clientY - ground.top + stage.scrollTop
    ];
    const [x, y] = toSheet(press);
    board.sheet.append(frame);
    const handleMove = (event) => {
      const [u, v] = toSheet(event);
      Object.assign(frame.style, {
        left: `${Math.min(x, u)}px`,
        top: `${Math.min(y, v)}px`,
        width: `${Math.abs(u - x)}px`,
        height: `${Math.abs(v - y)}px`
      });
    };
    const handleEnd = (event) => {
      const box = frame.getBoundingClientRect();
      frame.remove();
      controller.abort();
      if (event.type !== "pointerup") return;
      const inside = [];
      for (const [name, { element }] of board.cards)
        if (overlap(element.getBoundingClientRect(), box)) inside.push(name);
      selectNodes(board, box.width + box.height > MIN_FRAME_PX ? [...before, ...inside] : before);
    };
    const options = { signal: controller.signal };
    document.addEventListener("pointermove", handleMove, options);
    document.addEventListener("pointerup", handleEnd, options);
    document.addEventListener("pointercancel", handleEnd, options);
  });
}

function overlap(one, other) {
  return (
    one.left < other.right &&
    one.right > other.left &&
    one.top < other.bottom &&
    one.bottom > other.top
  );
}
