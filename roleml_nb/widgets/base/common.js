// What all views share: elements, the shadow root, the theme, messages to and from the kernel, and
// whether the page shows the view.

/**
 * The model of a widget, as anywidget gives it to a view, or as a page without a kernel has it.
 * @typedef {object} Model
 * @property {(name: string) => any} get
 * @property {(name: string, value: any) => void} set
 * @property {(event: string, callback: Function) => void} on
 * @property {(event: string, callback: Function) => void} off
 * @property {(message: any) => void} send
 * @property {boolean} [offline] true in a page without a kernel
 * @property {any} [widget_manager]
 */

/**
 * The functions of a view's module: `initialize` is called once for a model, `render` for each
 * place in the page. Both may return a function that cleans up.
 * @typedef {object} Definition
 * @property {(given: {model: Model}) => any} [initialize]
 * @property {(given: {model: Model, el: HTMLElement}) => any} [render]
 */

/** @typedef {(content: any, buffers: DataView[]) => void} MessageListener */

/**
 * An open view: its elements, and its connection with the kernel.
 * @typedef {object} View
 * @property {HTMLElement} root the element that the view draws into
 * @property {ShadowRoot} shadow
 * @property {AbortSignal} signal aborted when the view is closed
 * @property {boolean} offline true in a page without a kernel
 * @property {(kind: string, content?: object) => Promise<any>} request resolves to what the
 *   method handle_<kind> of the view returns, rejects with the text of its error
 * @property {(kind: string, listener: MessageListener) => void} onMessage
 * @property {(name: string, listener: (value: any) => void) => void} onTrait calls the listener
 *   with the trait's value, now and after each change
 * @property {(text: string) => void} announce tells screen readers
 * @property {() => void} close
 * @property {Function} ask former name of `request`
 * @property {Function} on former name of `onMessage`
 * @property {Function} follow former name of `onTrait`
 */

const SVG_NAMESPACE = "http://www.w3.org/2000/svg";
const REQUEST_TIMEOUT_MS = 60000;
// The first message of visibility may wait for a running cell to end, so it is repeated.
const VISIBILITY_REPEATS_MS = [1000, 3000];

/**
 * Create an element: tag("button", { class: "bin", onclick: handleClick }, "text", child, …).
 * @template {string} Name
 * @param {Name} name of an HTML element, or of an SVG element after "svg:"
 * @param {Record<string, any>} [attributes] functions become event listeners; undefined, null and
 *   false are left out
 * @param {...(Node | string | null | undefined)} children null and undefined are left out
 * @returns {Name extends keyof HTMLElementTagNameMap ? HTMLElementTagNameMap[Name] : any}
 */
export function tag(name, attributes = {}, ...children) {
  const svg = name.startsWith("svg:");
  const element = svg
    ? document.createElementNS(SVG_NAMESPACE, name.slice(4))
    : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === "function") element.addEventListener(key.replace(/^on/, ""), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return /** @type {any} */ (element);
}

// Return the model behind anywidget's proxy, which comes with each change of a trait; undefined
// where there is none.
function unwrapModel(model) {
  /** @type {any} */
  let unwrapped;
  const handleChange = (changed) => {
    unwrapped = changed;
  };
  model.on("change:_drawn_at", handleChange);
  model.set("_drawn_at", performance.now());
  model.off("change:_drawn_at", handleChange);
  return unwrapped;
}

// True if a kernel is behind a model, or the page has all that it needs. Front ends also make
// models out of what is saved in a file; nobody answers those.
function isAlive(model) {
  return Boolean(model.offline) || unwrapModel(model)?.comm_live !== false;
}

// The picture of a view is the output before the live widget's. It is hidden as long as the live
// widget is there.
const PICTURE_CHUNK = "AAAAFXRFWHRTb3VyY2UAcm9sZW1sX25iIHZpZXf+"; // displayed.py puts it into each
const HIDING_STYLE =
  `.jp-OutputArea-child:has(img[src*="${PICTURE_CHUNK}"])` +
  ":has(+ .jp-OutputArea-child .roleml-live)," +
  ".roleml-quiet,.widget-box:has(> .roleml-quiet):not(:has(> :not(.roleml-quiet)))" +
  "{display:none!important}";

// Hide the picture beside a live widget, or else the widget, which would bear a sign that it is
// disconnected.
function hidePictureOrWidget(el, alive) {
  el.classList.toggle("roleml-live", alive);
  el.classList.toggle("roleml-quiet", !alive);
  if (!document.getElementById("roleml-hidden"))
    document.head.append(tag("style", { id: "roleml-hidden" }, HIDING_STYLE));
}

// JupyterLab says "model not found" below the picture in a file whose kernel is gone. So an empty
// widget is saved in place of each live widget's state, which JupyterLab leaves out by default.
const VIEW_TYPE = "application/vnd.jupyter.widget-view+json";
const STATE_TYPE = "application/vnd.jupyter.widget-state+json";
const EMPTY_ID = "roleml-empty"; // of the layout that hides empty widgets
const EMPTY_LAYOUT = {
  model_name: "LayoutModel",
  model_module: "@jupyter-widgets/base",
  model_module_version: "2.0.0",
  state: { display: "none" }
};
const EMPTY_WIDGET = {
  model_name: "HTMLModel",
  model_module: "@jupyter-widgets/controls",
  model_module_version: "2.0.0",
  state: { layout: `IPY_MODEL_${EMPTY_ID}` }
};
const patchedContexts = new WeakSet();

function saveEmptyWidgets(context) {
  if (
    !context?.saveState ||
    typeof context.model?.setMetadata !== "function" ||
    patchedContexts.has(context)
  )
    return;
  patchedContexts.add(context);
  context.saveState.connect((_, step) => {
    if (step !== "started") return;
    const saved = context.model.getMetadata("widgets")?.[STATE_TYPE]?.state ?? {};
    const isOther = ([id, { state }]) =>
      id !== EMPTY_ID && state?.layout !== EMPTY_WIDGET.state.layout;
    const state = Object.fromEntries(Object.entries(saved).filter(isOther));
    for (const cell of context.model.cells) {
      for (const { data } of cell.toJSON().outputs ?? []) {
        const id = data?.[VIEW_TYPE]?.model_id;
        if (id && "text/html" in data && !(id in state))
          Object.assign(state, { [id]: EMPTY_WIDGET, [EMPTY_ID]: EMPTY_LAYOUT });
      }
    }
    if (Object.keys(state).length)
      context.model.setMetadata("widgets", {
        [STATE_TYPE]: { version_major: 2, version_minor: 0, state }
      });
    else if (Object.keys(saved).length) context.model.deleteMetadata("widgets");
  });
}

/**
 * Return what the module of a view exports: its definition, which draws nothing and hides no
 * picture where no kernel is behind the model. The bundler calls it.
 * @param {Definition | (() => Definition | Promise<Definition>)} definition
 * @returns {() => Promise<Definition>}
 */
export function defineView(definition) {
  return async () => {
    const view = typeof definition === "function" ? await definition() : definition;
    const initialize = (given) => (isAlive(given.model) ? view.initialize?.(given) : undefined);
    const render = (given) => {
      const { model, el } = given;
      const alive = isAlive(model);
      if (!model.offline) hidePictureOrWidget(el, alive);
      if (alive) saveEmptyWidgets(model.widget_manager?.context);
      return alive ? view.render(given) : undefined;
    };
    return { ...view, initialize, render: view.render && render };
  };
}

// Receive the kernel's messages past anywidget's queue. It holds messages back until a model's
// module has begun, and drops all of them, for good, if that takes more than two seconds, as on a
// busy machine. A view that is drawn has begun, so its messages need not wait.
function bypassMessageQueue(model) {
  const unwrapped = unwrapModel(model);
  let handler;
  for (let owner = unwrapped; owner; owner = Object.getPrototypeOf(owner))
    if (Object.hasOwn(owner, "_handle_comm_msg")) handler = owner._handle_comm_msg;
  if (handler) unwrapped.comm?.on_msg(handler.bind(unwrapped));
}

/**
 * Open a view in an element's shadow root.
 * @param {{model: Model, el: HTMLElement}} place
 * @param {string} className of the root element
 * @returns {View}
 */
export function openView({ model, el }, className) {
  const controller = new AbortController();
  const { signal } = controller;
  const shadow = el.shadowRoot ?? el.attachShadow({ mode: "open" });
  const announcer = tag("div", { class: "announcer", role: "status", "aria-live": "polite" });
  const errorBox = tag("div", { class: "error-box", role: "alert", hidden: true });
  const root = tag("div", { class: className });
  shadow.replaceChildren(tag("style", {}, STYLE), root, errorBox, announcer);

  followTheme(el, signal);
  const listeners = new Map();
  const pending = new Map();
  const pageId = crypto.randomUUID?.() ?? String(Math.random());
  let requestCount = 0;

  const handleMessage = (message, buffers) => {
    const { kind, content } = message;
    if (kind === "answer" || kind === "refusal") {
      const request = pending.get(message.id);
      if (!request) return; // another page's
      pending.delete(message.id);
      clearTimeout(request.timer);
      if (kind === "answer") request.resolve(message.value);
      else request.reject(new Error(message.error));
    } else if (kind === "trouble") {
      errorBox.textContent = content ?? "";
      errorBox.hidden = !content;
    } else {
      for (const listener of listeners.get(kind) ?? []) listener(content, buffers);
    }
  };
  model.on("msg:custom", handleMessage);
  bypassMessageQueue(model);

  const request = (kind, content = {}) =>
    new Promise((resolve, reject) => {
      if (model.offline) {
        reject(new Error("no kernel is behind this page"));
        return;
      }
      requestCount += 1;
      const id = `${pageId}:${requestCount}`;
      const timer = setTimeout(() => {
        pending.delete(id);
        const seconds = REQUEST_TIMEOUT_MS / 1000;
        reject(new Error(`the kernel has not answered for ${seconds} s; is a cell running?`));
      }, REQUEST_TIMEOUT_MS);
      pending.set(id, { resolve, reject, timer });
      model.send({ kind, id, content });
    });

  const onMessage = (kind, listener) => {
    if (!listeners.has(kind)) listeners.set(kind, []);
    listeners.get(kind).push(listener);
  };

  const onTrait = (name, listener) => {
    const handleChange = () => listener(model.get(name));
    model.on(`change:${name}`, handleChange);
    signal.addEventListener("abort", () => model.off(`change:${name}`, handleChange));
    handleChange();
  };

  const announce = (text) => {
    announcer.textContent = text;
  };

  const sendVisible = (seen) => {
    try {
      model.send({ kind: "seen", view: pageId, seen });
    } catch {
      // the kernel is gone, and nobody draws any more
    }
  };
  let intersecting = false;
  const updateVisible = () => sendVisible(intersecting && document.visibilityState === "visible");
  const observer = new IntersectionObserver((entries) => {
    intersecting = entries.at(-1).isIntersecting;
    updateVisible();
  });
  observer.observe(el);
  for (const delay of VISIBILITY_REPEATS_MS)
    setTimeout(() => signal.aborted || updateVisible(), delay);
  document.addEventListener("visibilitychange", updateVisible, { signal });
  window.addEventListener("pagehide", () => sendVisible(false), { signal });

  const close = () => {
    observer.disconnect();
    sendVisible(false);
    model.off("msg:custom", handleMessage);
    for (const { timer } of pending.values()) clearTimeout(timer);
    controller.abort();
  };
  return {
    root,
    shadow,
    signal,
    offline: Boolean(model.offline),
    request,
    onMessage,
    onTrait,
    announce,
    close,
    ask: deprecate(request, "ask of views is called request now"),
    on: deprecate(onMessage, "on of views is called onMessage now"),
    follow: deprecate(onTrait, "follow of views is called onTrait now")
  };
}

// Return a function that warns in the console, and calls another.
function deprecate(present, warning) {
  return (...given) => {
    console.warn(`roleml_nb: ${warning}`);
    return present(...given);
  };
}

/**
 * Show an element light or dark, as JupyterLab, VS Code or the system does; the colours are CSS's
 * light-dark().
 * @param {HTMLElement} el
 * @param {AbortSignal} signal ends it
 */
export function followTheme(el, signal) {
  const update = () => {
    const { jpThemeLight, vscodeThemeKind } = document.body.dataset;
    const dark = jpThemeLight === "false" || /dark/.test(vscodeThemeKind ?? "");
    const known = jpThemeLight !== undefined || vscodeThemeKind !== undefined;
    el.style.colorScheme = known ? (dark ? "dark" : "light") : "light dark";
  };
  const observer = new MutationObserver(update);
  observer.observe(document.body, {
    attributes: true,
    attributeFilter: ["data-jp-theme-light", "data-vscode-theme-kind"]
  });
  signal.addEventListener("abort", () => observer.disconnect());
  update();
}

/**
 * Return the number nearest to `value` between `low` and `high`.
 * @param {number} value
 * @param {number} low
 * @param {number} high
 * @returns {number}
 */
export function clamp(value, low, high) {
  return Math.min(high, Math.max(low, value));
}
