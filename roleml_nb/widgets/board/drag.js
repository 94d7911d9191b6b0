// Dragging with a pointer: what is dragged follows it, what it may be dropped on lights up, Escape
// drops it nowhere.

import { tag } from "../base/common.js";

const SLACK = 4; // pixels that a press may wander and still be a click

/**
 * What lies under the pointer, as far as it is there.
 * @typedef {{chip?: Element, card?: Element, bin?: Element, group?: Element, stage?: Element}} Hit
 */

/**
 * What is carried while the pointer is down.
 * @typedef {object} Carried
 * @property {string} [text] shown beside the pointer
 * @property {string} [hue] its colour
 * @property {(hit: Hit) => void} [over] the pointer has moved onto something else
 * @property {(hit: Hit, at: {x: number, y: number}) => void} drop it is let go there
 * @property {(dx: number, dy: number) => void} [move] the pointer has moved so far since the press
 * @property {() => void} [end] in any case, after all
 */

/**
 * Make presses on `handle` drags.
 * @param {object} board
 * @param {Element} handle
 * @param {(press: PointerEvent) => Carried | null} begin
 */
export function draggable(board, handle, begin) {
  handle.addEventListener("pointerdown", (press) => {
    if (press.button !== 0 || press.defaultPrevented) return;
    const carried = begin(press);
    if (!carried) return;
    press.stopPropagation();
    let ghost = null;
    let target = null;
    const ending = new AbortController();
    const options = { signal: ending.signal };
    const light = (next) => {
      if (next === target) return;
      target?.classList.remove("target");
      next?.classList.add("target");
      target = next;
    };
    const finish = () => {
      light(null);
      ghost?.remove();
      board.root.classList.remove("dragging");
      ending.abort();
      carried.end?.();
    };
    const move = (event) => {
      const far = Math.hypot(event.clientX - press.clientX, event.clientY - press.clientY);
      if (!ghost && far < SLACK) return;
      if (!ghost) {
        try {
          handle.setPointerCapture(press.pointerId);
        } catch {
          /* the element is gone, or the pointer is */
        }
        board.root.classList.add("dragging");
        ghost = tag("div", { class: "ghost", popover: "manual" }, carried.text);
        if (carried.hue) ghost.style.setProperty("--hue", carried.hue);
        if (carried.move) ghost.hidden = true;
        board.root.append(ghost);
        ghost.showPopover();
      }
      ghost.style.left = `${event.clientX + 10}px`;
      ghost.style.top = `${event.clientY + 8}px`;
      carried.move?.(
        (event.clientX - press.clientX) / board.scale,
        (event.clientY - press.clientY) / board.scale
      );
      light(carried.over(hitAt(board, event)) ?? null);
    };
    document.addEventListener("pointermove", move, options);
    document.addEventListener(
      "pointerup",
      (event) => {
        const moved = Boolean(ghost);
        const hit = hitAt(board, event);
        finish();
        if (moved) {
          handle.addEventListener(
            "click",
            (click) => {
              click.stopPropagation();
              click.preventDefault();
            },
            { capture: true, once: true }
          );
          carried.drop(hit, { x: event.clientX, y: event.clientY });
        }
      },
      options
    );
    document.addEventListener(
      "pointercancel",
      () => {
        carried.cancel?.();
        finish();
      },
      options
    );
    document.addEventListener(
      "keydown",
      (event) => {
        if (event.key === "Escape") {
          event.stopPropagation();
          carried.cancel?.();
          finish();
        }
      },
      { ...options, capture: true }
    );
    board.signal.addEventListener("abort", finish, options);
  });
}

function hitAt(board, event) {
  const hit = {};
  for (const element of board.shadow.elementsFromPoint(event.clientX, event.clientY)) {
    if (!board.root.contains(element) || element.closest(".popup, .ghost")) continue;
    for (const kind of ["chip", "card", "bin", "frame", "stage"])
      hit[kind] ??= element.closest(`.${kind}`);
  }
  return hit;
}
