// The view of traffic: tabs over one log of messages, one filter, and one clock.

import { openView, tag } from "../base/common.js";
import { Clock, makeTimeline } from "./clock.js";
import { Contributions } from "./contributions.js";
import { Filter, makeFilters } from "./filter.js";
import { formatBytes, formatCount } from "./format.js";
import { Log, sumFlows } from "./log.js";
import { followColours } from "./stage.js";
import { aggregationTab } from "./tabs/aggregation.js";
import { graphTab } from "./tabs/graph.js";
import { lanesTab } from "./tabs/lanes.js";
import { matrixTab } from "./tabs/matrix.js";

/**
 * What the tabs share.
 * @typedef {object} TabContext
 * @property {import("../base/common.js").View} view
 * @property {Log} log
 * @property {Contributions} contributions
 * @property {Filter} filter
 * @property {Clock} clock
 * @property {import("./stage.js").Colours} colours
 * @property {() => void} scheduleDraw draws the tab that is shown in the next frame
 * @property {(node: string) => void} selectNode shows the messages of one node; "" for all
 */

/**
 * A tab.
 * @typedef {object} Tab
 * @property {string} name
 * @property {string} title
 * @property {HTMLElement} element
 * @property {import("./stage.js").Stage} stage its `box` is in `element`: nothing is drawn while it
 *   has no width; a tab of HTML alone has a stage of height 0
 * @property {() => void} draw called when `stage.dirty`; twice a second at most if not animated
 * @property {boolean} animated true if it shows a time: it is drawn as the clock goes on, and has
 *   the timeline below
 * @property {boolean} [unfiltered] true if the filters of messages do not concern it
 */

const TABS = [graphTab, lanesTab, matrixTab, aggregationTab];
const STILL_FRAME_MS = 500; // between two frames of a tab that is not animated
const COUNTS_INTERVAL_MS = 200;
const HISTORY_RETRY_MS = 1500;
const MAX_PAUSE_MS = 100; // that the page gets for other things after a frame

// Make the list of tabs, which the arrow keys go through; `mark` marks the one that is shown.
function makeTabList(tabs, show) {
  const buttons = tabs.map((tab, index) =>
    tag(
      "button",
      {
        role: "tab",
        class: "tab",
        "data-tab": tab.name,
        onclick: () => show(tab),
        onkeydown: (event) => {
          const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
          if (!step) return;
          const next = (index + step + tabs.length) % tabs.length;
          show(tabs[next]);
          buttons[next].focus();
        }
      },
      tab.title
    )
  );
  const list = { role: "tablist", class: "tabs", "aria-label": "traffic" };
  const mark = (shown) =>
    buttons.forEach((button, index) => {
      button.setAttribute("aria-selected", String(tabs[index] === shown));
      button.tabIndex = tabs[index] === shown ? 0 : -1;
    });
  return { element: tag("div", list, ...buttons), mark };
}

// Call a function each frame while the page shows the view.
function onEachFrame(view, draw) {
  let intersecting = true;
  let request = 0;
  const observer = new IntersectionObserver((entries) => {
    intersecting = entries.at(-1).isIntersecting;
  });
  observer.observe(view.root);
  const handleFrame = () => {
    request = requestAnimationFrame(handleFrame);
    if (intersecting && document.visibilityState === "visible") draw();
  };
  handleFrame();
  view.signal.addEventListener("abort", () => {
    cancelAnimationFrame(request);
    observer.disconnect();
  });
}

// Make the counts of messages beside the tabs, and the hint where there are none.
function makeCounts(root, log, filter) {
  const element = tag("output", { class: "counted" });
  const hint = tag("div", { class: "hint", hidden: true });
  let updatedAt = 0;
  const update = (tab) => {
    if (performance.now() - updatedAt < COUNTS_INTERVAL_MS) return;
    updatedAt = performance.now();
    const { mask } = filter;
    const { messages, bytes } = sumFlows(log.flows.filter((_, index) => mask[index]));
    const all = sumFlows(log.flows.filter(({ isControl }) => filter.showControl || !isControl));
    const { every, gone } = log;
    const parts = [
      formatCount(messages) +
        (all.messages > messages ? ` of ${formatCount(all.messages)}` : "") +
        ` messages, ${formatBytes(bytes)}`
    ];
    if (every > 1) parts.push(`1 in ${every} is drawn, all are counted`);
    if (gone) parts.push(`the first ${formatCount(gone)} are totals by now`);
    const text = parts.join(" · ");
    if (element.textContent !== text) element.textContent = text;
    hint.hidden = messages > 0 || !!tab.unfiltered;
    hint.textContent = all.messages
      ? "No message matches these filters."
      : "No messages yet: they appear here as soon as roles call each other.";
    Object.assign(root.dataset, { messages, bytes, every });
  };
  return { element, hint, update };
}

// Receive batches of messages: from the page itself, or what has been, then what is new, from the
// kernel.
function receiveBatches({ view, log, contributions, filter, clock, scheduleDraw }, model, el) {
  const addBatch = (content, buffers) => {
    log.addBatch(content, buffers);
    contributions.addBatch(content);
    if (clock.canLive) clock.synchronize(content.now);
    scheduleDraw();
  };
  const { root } = view;
  if (view.offline) {
    const { content, buffers } = model.get("_past");
    addBatch(content, buffers);
    clock.seek(clock.end);
    root.dataset.ready = "1";
    return;
  }
  let ready = false;
  el.dataset.view = String(Math.random());
  view.onMessage("past", (content, buffers) => {
    if (content.view !== undefined && content.view !== el.dataset.view) return; // another page's
    log.clear();
    contributions.clear();
    ready = true;
    addBatch(content, buffers);
    filter.update({});
    if (!clock.canLive) clock.seek(clock.end);
    root.dataset.ready = "1";
  });
  view.onMessage("batch", (content, buffers) => {
    if (ready) addBatch(content, buffers);
  });
  // Repeated, since the first messages of a page may wait for a running cell to end.
  const requestHistory = () => {
    if (ready || view.signal.aborted) return;
    view.request("catch_up", { view: el.dataset.view }).catch((error) => {
      if (!ready) root.append(tag("div", { class: "error-box", role: "alert" }, error.message));
    });
    setTimeout(requestHistory, HISTORY_RETRY_MS);
  };
  requestHistory();
}

export default () => ({
  render({ model, el }) {
    const view = openView({ model, el }, "traffic");
    const { root } = view;
    let shown = null;
    const scheduleDraw = () => {
      if (shown) shown.stage.dirty = true;
    };
    const log = new Log();
    const contributions = new Contributions();
    const filter = new Filter(log);
    const clock = new Clock(log, filter, !view.offline && model.get("_live"));
    const colours = followColours(root, view.signal, scheduleDraw);
    const filters = makeFilters(log, filter, scheduleDraw);
    const { selectNode } = filters;
    const context = {
      view,
      log,
      contributions,
      filter,
      clock,
      colours,
      scheduleDraw,
      selectNode
    };
    const tabs = TABS.map((makeTab) => makeTab(context));
    const timeline = makeTimeline(view, clock, scheduleDraw);
    const counts = makeCounts(root, log, filter);
    const panel = tag("div", { role: "tabpanel", class: "panel" });
    const show = (tab) => {
      shown = tab;
      tabList.mark(tab);
      panel.replaceChildren(tab.element);
      timeline.element.hidden = !tab.animated;
      filters.element.hidden = !!tab.unfiltered;
      root.dataset.tab = tab.name;
      scheduleDraw();
    };
    const tabList = makeTabList(tabs, show);
    root.append(
      tag("div", { class: "head" }, tabList.element, counts.element),
      filters.element,
      counts.hint,
      panel,
      timeline.element
    );
    show(tabs[0]);
    receiveBatches(context, model, el);

    let frames = 0;
    let drawnAt = 0;
    let pausedUntil = 0;
    onEachFrame(view, () => {
      if (performance.now() < pausedUntil) return;
      const ticked = clock.tick();
      timeline.update();
      filters.updateOptions();
      counts.update(shown);
      const { stage, animated } = shown;
      if (!stage.width || !((animated && ticked) || stage.dirty)) return;
      if (!animated && !stage.pointer && performance.now() - drawnAt < STILL_FRAME_MS) return;
      drawnAt = performance.now();
      stage.dirty = false;
      shown.draw();
      const took = performance.now() - drawnAt;
      pausedUntil = performance.now() + Math.min(MAX_PAUSE_MS, took / 2);
      frames += 1;
      const mean = took * 0.1 + Number(root.dataset.took ?? 0) * 0.9;
      Object.assign(root.dataset, { frames, took: mean.toFixed(2) });
    });
    return view.close;
  }
});
