// What comes up over the board and goes again: menus, forms, errors. They are in the top layer,
// where nothing clips them.

import { clamp, tag } from "../base/common.js";

const WINDOW_MARGIN_PX = 8;
const PREVIEW_DELAY_MS = 120;

/** @typedef {import("./drag.js").WindowPoint} WindowPoint */
/** @typedef {{element: HTMLElement, close: () => void, place: () => void}} Popup */

/**
 * Open a popup beside a point. Escape closes it, and so does a press elsewhere, unless it persists.
 * @param {import("./board.js").Board} board
 * @param {WindowPoint} point
 * @param {Record<string, any>} attributes
 * @param {HTMLElement} content
 * @param {{persistent?: boolean, onClose?: () => void}} [options]
 * @returns {Popup}
 */
function openPopup(board, point, attributes, content, { persistent = false, onClose } = {}) {
  const focused = /** @type {HTMLElement | null} */ (board.shadow.activeElement);
  const element = tag("div", { popover: "manual", ...attributes }, content);
  board.root.append(element);
  element.showPopover();
  const place = () => {
    const { width, height } = element.getBoundingClientRect();
    const right = Math.max(WINDOW_MARGIN_PX, innerWidth - width - WINDOW_MARGIN_PX);
    const bottom = Math.max(WINDOW_MARGIN_PX, innerHeight - height - WINDOW_MARGIN_PX);
    element.style.left = `${clamp(point.x, WINDOW_MARGIN_PX, right)}px`;
    element.style.top = `${clamp(point.y, WINDOW_MARGIN_PX, bottom)}px`;
  };
  place();
  const controller = new AbortController();
  const { signal } = controller;
  const close = () => {
    if (signal.aborted) return;
    const hadFocus = element.contains(board.shadow.activeElement);
    controller.abort();
    element.remove();
    if (hadFocus && focused?.isConnected) focused.focus({ preventScroll: true });
    onClose?.();
  };
  element.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      event.stopPropagation();
      close();
    }
  });
  if (!persistent) {
    const handlePress = (event) => {
      if (!event.composedPath().includes(element)) close();
    };
    document.addEventListener("pointerdown", handlePress, { capture: true, signal });
  }
  board.signal.addEventListener("abort", close, { signal });
  return { element, close, place };
}

/**
 * An item of a menu.
 * @typedef {object} MenuItem
 * @property {string} text
 * @property {string} [hint]
 * @property {boolean} [danger]
 * @property {() => void} onSelect
 */

/**
 * Open a menu.
 * @param {import("./board.js").Board} board
 * @param {WindowPoint} point
 * @param {string} title
 * @param {(MenuItem | null)[]} items null for a line between items
 */
export function openMenu(board, point, title, items) {
  const list = tag("div", { class: "items", role: "menu", "aria-label": title });
  const content = tag("div", {}, tag("div", { class: "title" }, title), list);
  const popup = openPopup(board, point, { class: "popup menu" }, content);
  for (const item of items) {
    if (!item) {
      list.append(tag("hr"));
      continue;
    }
    const { text, hint, danger, onSelect } = item;
    const onclick = () => {
      popup.close();
      onSelect();
    };
    list.append(
      tag(
        "button",
        { role: "menuitem", class: danger ? "plain danger" : "plain", onclick },
        text,
        hint ? tag("span", { class: "hint" }, hint) : null
      )
    );
  }
  enableArrowKeys(list, "[role=menuitem]");
  list.querySelector("button")?.focus();
}

/**
 * Let the arrow keys move the focus from one element of a list to the next.
 * @param {HTMLElement} list
 * @param {string} selector of its elements
 */
export function enableArrowKeys(list, selector) {
  list.addEventListener("keydown", (event) => {
    const elements = /** @type {HTMLElement[]} */ ([...list.querySelectorAll(selector)]);
    const items = elements.filter((item) => item.offsetParent !== null);
    const root = /** @type {ShadowRoot} */ (list.getRootNode());
    const index = items.indexOf(/** @type {HTMLElement} */ (root.activeElement));
    const next = { ArrowDown: index + 1, ArrowUp: index - 1, Home: 0, End: items.length - 1 }[
      event.key
    ];
    if (next === undefined || !items.length) return;
    event.preventDefault();
    items[(next + items.length) % items.length].focus();
  });
}

/**
 * A field of a form.
 * @typedef {object} Field
 * @property {string} key
 * @property {string} label
 * @property {string} [value]
 * @property {string} [hint]
 * @property {string} [placeholder]
 * @property {boolean} [required]
 * @property {string[]} [choices]
 * @property {string} [group] heading of this field and those of the same group after it
 */

/**
 * A form.
 * @typedef {object} Form
 * @property {string} title
 * @property {string} [about]
 * @property {Field[]} fields
 * @property {string} action text of the button
 * @property {(values: Record<string, string>) => Promise<void>} submit may reject: its error is
 *   shown in the form
 * @property {(values: Record<string, string>) => Promise<string>} preview resolves to the code that
 *   the values stand for
 */

/**
 * Open a form.
 * @param {import("./board.js").Board} board
 * @param {WindowPoint} point
 * @param {Form} form
 */
export function openForm(board, point, { title, about, fields, action, submit, preview }) {
  const errorBox = tag("div", { class: "fault", role: "alert", hidden: true });
  const code = tag("code", { class: "preview", title: "this gesture as code" });
  const submitButton = tag("button", { class: "primary", type: "submit" }, action);
  const { element: rows, inputs } = makeFields(fields);
  const readValues = () => {
    /** @type {Record<string, string>} */
    const values = {};
    for (const [key, input] of inputs) values[key] = input.value.trim();
    return values;
  };
  const form = tag(
    "form",
    { class: "form", novalidate: true },
    tag("div", { class: "title" }, title),
    about ? tag("p", { class: "about" }, about) : null,
    rows,
    code,
    errorBox,
    tag(
      "div",
      { class: "buttons" },
      tag("button", { type: "button", onclick: () => popup.close() }, "Cancel"),
      submitButton
    )
  );
  let busy = false;
  let open = true;
  const onClose = () => {
    open = false;
  };
  const attributes = { class: "popup", role: "dialog", "aria-label": title };
  const popup = openPopup(board, point, attributes, form, { persistent: true, onClose });
  const showFieldError = (text) => {
    errorBox.textContent = text;
    errorBox.hidden = false;
  };
  const updatePreview = async () => {
    let text = "";
    try {
      text = await preview(readValues());
    } catch {
      /* the values are no code yet */
    }
    if (!open) return;
    code.textContent = text;
    popup.place();
  };
  let previewTimer;
  form.addEventListener("input", () => {
    clearTimeout(previewTimer);
    previewTimer = setTimeout(updatePreview, PREVIEW_DELAY_MS);
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (busy) return;
    const values = readValues();
    const missing = fields.find((field) => field.required && !values[field.key]);
    if (missing) {
      showFieldError(`${missing.label} is needed`);
      inputs.get(missing.key).focus();
      return;
    }
    busy = true;
    errorBox.hidden = true;
    form.setAttribute("aria-busy", "true");
    try {
      await submit(values);
      popup.close();
    } catch (error) {
      if (open) {
        showFieldError(error.message);
        popup.place();
        board.announce(error.message);
      } else showError(board, error.message);
    } finally {
      busy = false;
      form.removeAttribute("aria-busy");
    }
  });
  const empty = [...inputs.values()].find((input) => input.required && !input.value);
  (empty ?? submitButton).focus();
  updatePreview();
}

// Make the rows of a form's fields, and return their inputs by key.
function makeFields(fields) {
  /** @type {Map<string, HTMLInputElement>} */
  const inputs = new Map();
  const element = tag("div", { class: "fields" });
  let group = null;
  for (const field of fields) {
    if (field.group && field.group !== group)
      element.append(tag("div", { class: "group" }, field.group));
    group = field.group;
    const id = `field-${field.key}`;
    const choicesId = field.choices?.length ? `${id}-choices` : null;
    const input = tag("input", {
      id,
      name: field.key,
      value: field.value ?? "",
      placeholder: field.placeholder ?? "",
      spellcheck: "false",
      autocomplete: "off",
      autocapitalize: "off",
      required: field.required,
      list: choicesId,
      "aria-describedby": `${id}-hint`
    });
    inputs.set(field.key, input);
    element.append(
      tag(
        "label",
        { for: id },
        field.label,
        field.required ? tag("b", { "aria-hidden": "true" }, " *") : null
      ),
      input,
      tag("span", { class: "hint", id: `${id}-hint` }, field.hint ?? "")
    );
    if (!choicesId) continue;
    const options = field.choices.map((choice) => tag("option", { value: choice }));
    element.append(tag("datalist", { id: choicesId }, ...options));
  }
  return { element, inputs };
}

/**
 * Show an error at the foot of the board, until it is dismissed or the next command succeeds.
 * @param {import("./board.js").Board} board
 * @param {string} text
 */
export function showError(board, text) {
  const dismiss = () => {
    board.banner.hidden = true;
  };
  board.banner.classList.remove("note");
  board.banner.replaceChildren(
    tag("pre", {}, text),
    tag("button", { class: "plain", "aria-label": "dismiss", onclick: dismiss }, "×")
  );
  board.banner.hidden = false;
  board.announce(text);
}

/**
 * Return the point below the element that an event is of.
 * @param {Event} event
 * @returns {WindowPoint}
 */
export function pointBelow(event) {
  const box = /** @type {Element} */ (event.target).getBoundingClientRect();
  return { x: box.left, y: box.bottom + 4 };
}
