// What all views share: the shadow root, the theme, requests to the kernel, and whether anybody
// looks.

const SVG = "http://www.w3.org/2000/svg";
const PATIENCE = 60000; // ms that the kernel gets to answer a request

// An element: tag("button", {class: "bin", onclick: f}, "text", child, …); svg elements by
// tag("svg:circle", …).
export function tag(name, attributes = {}, ...children) {
  const svg = name.startsWith("svg:");
  const node = svg ? document.createElementNS(SVG, name.slice(4)) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === "function") node.addEventListener(key.replace(/^on/, ""), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

// The model behind anywidget's proxy, which comes with a change; undefined where there is none.
function wholeOf(model) {
  let whole;
  const changed = (one) => {
    whole = one;
  };
  model.on("change:_drawn_at", changed);
  model.set("_drawn_at", performance.now());
  model.off("change:_drawn_at", changed);
  return whole;
}

// Whether a kernel is behind a model, or all that it needs is in the page. Front ends also make
// models out of what a file has kept of them, which nobody answers.
function hears(model) {
  return Boolean(model.offline) || wholeOf(model)?.comm_live !== false;
}

// The picture of a view is the output before the live widget's, and hidden as long as that is
// there.
// the start of a chunk that displayed.py puts into each
const MARK = "AAAAFXRFWHRTb3VyY2UAcm9sZW1sX25iIHZpZXf+";
const HIDDEN =
  `.jp-OutputArea-child:has(img[src*="${MARK}"]):has(+ .jp-OutputArea-child .roleml-live),` +
  ".roleml-quiet,.widget-box:has(> .roleml-quiet):not(:has(> :not(.roleml-quiet)))" +
  "{display:none!important}";

// Have either the picture be hidden, beside a live widget, or the widget, which else bears a sign
// that it is disconnected.
export function hide(el, alive) {
  el.classList.toggle("roleml-live", alive);
  el.classList.toggle("roleml-quiet", !alive);
  if (!document.getElementById("roleml-hidden"))
    document.head.append(tag("style", { id: "roleml-hidden" }, HIDDEN));
}

// JupyterLab says "model not found" below the picture in a file whose kernel is gone. So it saves,
// in place of each live widget's state, which it leaves out by default, a widget that is empty.
const VIEW = "application/vnd.jupyter.widget-view+json";
const STATE = "application/vnd.jupyter.widget-state+json";
const EMPTY = "roleml-empty"; // of the layout that hides them
const LAYOUT = {
  model_name: "LayoutModel",
  model_module: "@jupyter-widgets/base",
  model_module_version: "2.0.0",
  state: { display: "none" }
};
const GONE = {
  model_name: "HTMLModel",
  model_module: "@jupyter-widgets/controls",
  model_module_version: "2.0.0",
  state: { layout: `IPY_MODEL_${EMPTY}` }
};
const quiet = new WeakSet();

function keepQuiet(context) {
  if (!context?.saveState || typeof context.model?.setMetadata !== "function" || quiet.has(context))
    return;
  quiet.add(context);
  context.saveState.connect((_, step) => {
    if (step !== "started") return;
    const kept = context.model.getMetadata("widgets")?.[STATE]?.state ?? {};
    const others = ([id, { state }]) => id !== EMPTY && state?.layout !== GONE.state.layout;
    const state = Object.fromEntries(Object.entries(kept).filter(others));
    for (const cell of context.model.cells) {
      for (const { data } of cell.toJSON().outputs ?? []) {
        const id = data?.[VIEW]?.model_id;
        if (id && "text/html" in data && !(id in state))
          Object.assign(state, { [id]: GONE, [EMPTY]: LAYOUT });
      }
    }
    if (Object.keys(state).length)
      context.model.setMetadata("widgets", {
        [STATE]: { version_major: 2, version_minor: 0, state }
      });
    else if (Object.keys(kept).length) context.model.deleteMetadata("widgets");
  });
}

// What a module exports: its view, which draws nothing and hides no picture where it hears no
// kernel.
export function live(made) {
  return async () => {
    const view = typeof made === "function" ? await made() : made;
    const initialize = (given) => (hears(given.model) ? view.initialize?.(given) : undefined);
    const render = (given) => {
      const { model, el } = given;
      const alive = hears(model);
      if (!model.offline) hide(el, alive);
      if (alive) keepQuiet(model.widget_manager?.context);
      return alive ? view.render(given) : undefined;
    };
    return { ...view, initialize, render: view.render && render };
  };
}

// Hear the kernel in any case. anywidget holds messages back until a model's module has begun, and
// drops all of them, for good, if that takes more than two seconds, as on a busy machine. What is
// drawn has begun, so they need not wait.
function hear(model) {
  const whole = wholeOf(model);
  let handle;
  for (let at = whole; at; at = Object.getPrototypeOf(at))
    if (Object.hasOwn(at, "_handle_comm_msg")) handle = at._handle_comm_msg;
  if (handle) whole.comm?.on_msg(handle.bind(whole));
}

// Open a view in `el`: {root, signal, offline, ask, on, announce, close}.
export function openView({ model, el }, className) {
  const ending = new AbortController();
  const { signal } = ending;
  const shadow = el.shadowRoot ?? el.attachShadow({ mode: "open" });
  const said = tag("div", { class: "said", role: "status", "aria-live": "polite" });
  const trouble = tag("div", { class: "trouble", role: "alert", hidden: true });
  const root = tag("div", { class: className });
  shadow.replaceChildren(tag("style", {}, STYLE), root, trouble, said);

  followTheme(el, signal);
  const listeners = new Map();
  const waiting = new Map();
  let count = 0;
  const mark = crypto.randomUUID?.() ?? String(Math.random());

  const take = (message, buffers) => {
    if (message.kind === "answer" || message.kind === "refusal") {
      const asked = waiting.get(message.id);
      if (!asked) return; // another page's
      waiting.delete(message.id);
      clearTimeout(asked.timer);
      if (message.kind === "answer") asked.resolve(message.value);
      else asked.reject(new Error(message.error));
    } else if (message.kind === "trouble") {
      trouble.textContent = message.content ?? "";
      trouble.hidden = !message.content;
    } else {
      for (const listener of listeners.get(message.kind) ?? []) listener(message.content, buffers);
    }
  };
  model.on("msg:custom", take);
  hear(model);

  // Ask the kernel; resolves to what the method handle_<kind> returns, rejects with its error's text.
  const ask = (kind, content = {}) =>
    new Promise((resolve, reject) => {
      if (model.offline) {
        reject(new Error("no kernel is behind this page"));
        return;
      }
      count += 1;
      const id = `${mark}:${count}`;
      const timer = setTimeout(() => {
        waiting.delete(id);
        reject(
          new Error(`the kernel has not answered for ${PATIENCE / 1000} s; is a cell running?`)
        );
      }, PATIENCE);
      waiting.set(id, { resolve, reject, timer });
      model.send({ kind, id, content });
    });

  const on = (kind, listener) => {
    if (!listeners.has(kind)) listeners.set(kind, []);
    listeners.get(kind).push(listener);
  };

  // Follow a trait that the kernel sets.
  const follow = (name, listener) => {
    const changed = () => listener(model.get(name));
    model.on(`change:${name}`, changed);
    signal.addEventListener("abort", () => model.off(`change:${name}`, changed));
    changed();
  };

  const announce = (text) => {
    said.textContent = text;
  };

  const see = (seen) => model.send({ kind: "seen", view: mark, seen });
  let near = false;
  const look = () => see(near && document.visibilityState === "visible");
  const observer = new IntersectionObserver((entries) => {
    near = entries.at(-1).isIntersecting;
    look();
  });
  observer.observe(el);
  // the first may wait for a running cell
  for (const later of [1000, 3000]) setTimeout(() => signal.aborted || look(), later);
  document.addEventListener("visibilitychange", look, { signal });
  window.addEventListener("pagehide", () => see(false), { signal });

  const close = () => {
    observer.disconnect();
    see(false);
    model.off("msg:custom", take);
    for (const asked of waiting.values()) clearTimeout(asked.timer);
    ending.abort();
  };
  return {
    root,
    shadow,
    signal,
    offline: Boolean(model.offline),
    ask,
    on,
    follow,
    announce,
    close
  };
}

// Light or dark as JupyterLab, VS Code or the system says; colours are CSS's light-dark().
export function followTheme(el, signal) {
  const apply = () => {
    const { jpThemeLight, vscodeThemeKind } = document.body.dataset;
    const dark = jpThemeLight === "false" || /dark/.test(vscodeThemeKind ?? "");
    const known = jpThemeLight !== undefined || vscodeThemeKind !== undefined;
    el.style.colorScheme = known ? (dark ? "dark" : "light") : "light dark";
  };
  const observer = new MutationObserver(apply);
  observer.observe(document.body, {
    attributes: true,
    attributeFilter: ["data-jp-theme-light", "data-vscode-theme-kind"]
  });
  signal.addEventListener("abort", () => observer.disconnect());
  apply();
}

export function clamp(value, low, high) {
  return Math.min(high, Math.max(low, value));
}
