// What comes up over the board and goes again: menus, forms, faults. They lie in the top layer,
// where nothing clips them.

import { clamp, tag } from "../base/common.js";

// Open a popup beside a point of the window; it closes by Escape, and by a press elsewhere unless
// it is `stubborn`.
function openPopup(board, at, attributes, content, { stubborn = false, onclose } = {}) {
  const before = board.shadow.activeElement;
  const popup = tag("div", { popover: "manual", ...attributes }, content);
  board.root.append(popup);
  popup.showPopover();
  const place = () => {
    const { width, height } = popup.getBoundingClientRect();
    popup.style.left = `${clamp(at.x, 8, Math.max(8, innerWidth - width - 8))}px`;
    popup.style.top = `${clamp(at.y, 8, Math.max(8, innerHeight - height - 8))}px`;
  };
  place();
  const ending = new AbortController();
  const close = () => {
    if (ending.signal.aborted) return;
    const within = popup.contains(board.shadow.activeElement);
    ending.abort();
    popup.remove();
    if (within && before?.isConnected) before.focus({ preventScroll: true });
    onclose?.();
  };
  popup.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      event.stopPropagation();
      close();
    }
  });
  if (!stubborn) {
    document.addEventListener(
      "pointerdown",
      (event) => {
        if (!event.composedPath().includes(popup)) close();
      },
      { capture: true, signal: ending.signal }
    );
  }
  board.signal.addEventListener("abort", close, { signal: ending.signal });
  return { popup, close, place };
}

// A menu: items are {text, hint, act, danger} or null for a line between.
export function openMenu(board, at, title, items) {
  const list = tag("div", { class: "items", role: "menu", "aria-label": title });
  const popup = openPopup(
    board,
    at,
    { class: "popup menu" },
    tag("div", {}, tag("div", { class: "title" }, title), list)
  );
  for (const item of items) {
    if (!item) {
      list.append(tag("hr"));
      continue;
    }
    list.append(
      tag(
        "button",
        {
          role: "menuitem",
          class: item.danger ? "plain danger" : "plain",
          disabled: item.disabled,
          onclick: () => {
            popup.close();
            item.act();
          }
        },
        item.text,
        item.hint ? tag("span", { class: "hint" }, item.hint) : null
      )
    );
  }
  roam(list, "[role=menuitem]:not(:disabled)");
  list.querySelector("[role=menuitem]:not(:disabled)")?.focus();
  return popup;
}

// Let the arrow keys go from one element of a list to the next.
export function roam(list, selector) {
  list.addEventListener("keydown", (event) => {
    const items = [...list.querySelectorAll(selector)].filter((item) => item.offsetParent !== null);
    const place = items.indexOf(list.getRootNode().activeElement);
    const next = { ArrowDown: place + 1, ArrowUp: place - 1, Home: 0, End: items.length - 1 }[
      event.key
    ];
    if (next === undefined || !items.length) return;
    event.preventDefault();
    items[(next + items.length) % items.length].focus();
  });
}

// A form. Fields are {key, label, value, hint, placeholder, required, choices, group};
// `submit(values)` may refuse by an error, which is shown in place; `say(values)` resolves to the
// code that it stands for.
export function openForm(board, at, { title, about, fields, action, submit, say }) {
  const inputs = new Map();
  const fault = tag("div", { class: "fault", role: "alert", hidden: true });
  const code = tag("code", { class: "preview", title: "this gesture as code" });
  const button = tag("button", { class: "primary", type: "submit" }, action);
  const rows = tag("div", { class: "fields" });
  let group = null;
  for (const field of fields) {
    if (field.group && field.group !== group)
      rows.append(tag("div", { class: "group" }, field.group));
    group = field.group;
    const id = `field-${field.key}`;
    const list = field.choices?.length
      ? tag(
          "datalist",
          { id: `${id}-choices` },
          ...field.choices.map((choice) => tag("option", { value: choice }))
        )
      : null;
    const input = tag("input", {
      id,
      name: field.key,
      value: field.value ?? "",
      placeholder: field.placeholder ?? "",
      spellcheck: "false",
      autocomplete: "off",
      autocapitalize: "off",
      required: field.required,
      list: list ? list.id : null,
      "aria-describedby": `${id}-hint`
    });
    inputs.set(field.key, input);
    rows.append(
      tag(
        "label",
        { for: id },
        field.label,
        field.required ? tag("b", { "aria-hidden": "true" }, " *") : null
      ),
      input,
      tag("span", { class: "hint", id: `${id}-hint` }, field.hint ?? "")
    );
    if (list) rows.append(list);
  }
  const read = () =>
    Object.fromEntries([...inputs].map(([key, input]) => [key, input.value.trim()]));
  const form = tag(
    "form",
    { class: "form", novalidate: true },
    tag("div", { class: "title" }, title),
    about ? tag("p", { class: "about" }, about) : null,
    rows,
    code,
    fault,
    tag(
      "div",
      { class: "buttons" },
      tag("button", { type: "button", onclick: () => popup.close() }, "Cancel"),
      button
    )
  );
  let busy = false;
  let open = true;
  const popup = openPopup(
    board,
    at,
    { class: "popup", role: "dialog", "aria-label": title },
    form,
    {
      stubborn: true,
      onclose: () => {
        open = false;
      }
    }
  );
  const preview = async () => {
    if (!say) return;
    let text = "";
    try {
      text = await say(read());
    } catch {
      /* not yet something that can be said */
    }
    if (!open) return;
    code.textContent = text;
    popup.place();
  };
  form.addEventListener("input", () => {
    clearTimeout(form.timer);
    form.timer = setTimeout(preview, 120);
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (busy) return;
    const lacking = fields.find((field) => field.required && !read()[field.key]);
    if (lacking) {
      fault.textContent = `${lacking.label} is needed`;
      fault.hidden = false;
      inputs.get(lacking.key).focus();
      return;
    }
    busy = true;
    fault.hidden = true;
    form.setAttribute("aria-busy", "true");
    try {
      await submit(read());
      popup.close();
    } catch (error) {
      if (open) {
        fault.textContent = error.message;
        fault.hidden = false;
        popup.place();
        board.announce(error.message);
      } else showFault(board, error.message);
    } finally {
      busy = false;
      form.removeAttribute("aria-busy");
    }
  });
  (
    fields.map(({ key }) => inputs.get(key)).find((input) => input.required && !input.value) ??
    button
  ).focus();
  preview();
  return popup;
}

// A fault at the foot of the board, until it is dismissed or the next gesture succeeds.
export function showFault(board, text) {
  board.fault.classList.remove("note");
  board.fault.replaceChildren(
    tag("pre", {}, text),
    tag(
      "button",
      {
        class: "plain",
        "aria-label": "dismiss",
        onclick: () => {
          board.fault.hidden = true;
        }
      },
      "×"
    )
  );
  board.fault.hidden = false;
  board.announce(text);
}

export function below(event) {
  const box = event.target.getBoundingClientRect();
  return { x: box.left, y: box.bottom + 4 };
}
