// The view of traffic: tabs over one log of messages, one filter, and one clock.

import { openView, tag } from "../base/common.js";
import { Clock, timeline } from "./clock.js";
import { graphTab } from "./graph.js";
import { lanesTab } from "./lanes.js";
import { grouped, KINDS, Log, naturally } from "./log.js";
import { matrixTab, sumOf } from "./matrix.js";
import { Rounds, roundsTab } from "./rounds.js";
import { bytes, Filter, Palette } from "./stage.js";

const SAYS = {
  service: "calls whose caller waits",
  task: "calls whose caller goes on",
  reply: "answers to calls, and errors",
  event: "what roles emit",
  other: "subscriptions, and what moves a role"
};
const ROUNDS = 2; // times a second that tabs are drawn that show no time

function legend(filter, changed) {
  return KINDS.map((kind, colour) =>
    tag(
      "button",
      {
        class: "kind",
        "aria-pressed": "true",
        "data-kind": kind,
        title: `show or hide: ${SAYS[kind]}`,
        onclick: (event) => {
          const hidden = new Set(filter.hidden);
          if (!hidden.delete(colour)) hidden.add(colour);
          event.currentTarget.setAttribute("aria-pressed", String(!hidden.has(colour)));
          filter.change({ hidden });
          changed();
        }
      },
      tag("i", { class: "dot", style: `background:var(--${kind === "other" ? "faint" : kind})` }),
      kind
    )
  );
}

// The row of filters; `fill` offers what there is by now.
function filters(log, filter, changed) {
  const select = (name, all) =>
    tag(
      "select",
      {
        class: name,
        "aria-label": name,
        onchange: (event) => {
          filter.change({ [name]: event.target.value });
          changed();
        }
      },
      tag("option", { value: "" }, all)
    );
  const selects = {
    node: select("node", "all nodes"),
    role: select("role", "all roles"),
    channel: select("channel", "all channels")
  };
  const steering = tag("input", {
    type: "checkbox",
    onchange: (event) => {
      filter.change({ steering: event.target.checked });
      changed();
    }
  });
  const row = tag(
    "div",
    { class: "filters" },
    ...legend(filter, changed),
    ...Object.values(selects),
    tag(
      "label",
      { title: "messages that the testbed itself sends to steer nodes" },
      steering,
      " steering"
    )
  );
  let filled = -1;
  const fill = () => {
    if (filled === log.version) return;
    filled = log.version;
    const names = { node: new Set(log.nodes), role: new Set(), channel: new Set() };
    for (const { source, target, channel, steering: steers } of log.flows) {
      if (steers && !filter.steering) continue;
      names.channel.add(channel);
      for (const end of [source, target]) names.role.add(end.split("/")[1]);
    }
    for (const [name, box] of Object.entries(selects)) {
      const wanted = [...names[name]].sort(naturally);
      box.replaceChildren(
        box.firstElementChild,
        ...wanted.map((one) => tag("option", { value: one, selected: one === filter[name] }, one))
      );
    }
  };
  const choose = (node) => {
    selects.node.value = node;
    filter.change({ node });
    changed();
  };
  return { row, fill, choose };
}

// The list of tabs, moved through with the arrow keys.
function tabList(tabs, choose) {
  const buttons = tabs.map((tab, place) =>
    tag(
      "button",
      {
        role: "tab",
        class: "tab",
        "data-tab": tab.name,
        onclick: () => choose(tab),
        onkeydown: (event) => {
          const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
          if (!step) return;
          const next = (place + step + tabs.length) % tabs.length;
          choose(tabs[next]);
          buttons[next].focus();
        }
      },
      tab.title
    )
  );
  const list = tag("div", { role: "tablist", class: "tabs", "aria-label": "traffic" }, ...buttons);
  const mark = (chosen) =>
    buttons.forEach((button, place) => {
      button.setAttribute("aria-selected", String(tabs[place] === chosen));
      button.tabIndex = tabs[place] === chosen ? 0 : -1;
    });
  return { list, mark };
}

// Draw while somebody looks: each frame when something moves, and else when something has changed.
function frames(view, draw) {
  let near = true;
  let frame = 0;
  const observer = new IntersectionObserver((entries) => {
    near = entries.at(-1).isIntersecting;
  });
  observer.observe(view.root);
  const go = () => {
    frame = requestAnimationFrame(go);
    if (near && document.visibilityState === "visible") draw();
  };
  go();
  view.signal.addEventListener("abort", () => {
    cancelAnimationFrame(frame);
    observer.disconnect();
  });
}

export default () => ({
  render({ model, el }) {
    const view = openView({ model, el }, "traffic");
    const log = new Log();
    const rounds = new Rounds();
    const filter = new Filter(log);
    const clock = new Clock(log, filter, !view.offline && model.get("_live"));
    const palette = new Palette(view.root);
    let shown = null;
    let drawn = 0;
    const changed = () => {
      if (shown) shown.stage.dirty = true;
    };
    palette.changed = changed;
    const row = filters(log, filter, changed);
    const tabs = [
      graphTab(view, log, filter, clock, palette, row.choose),
      lanesTab(view, log, filter, clock, palette, changed),
      matrixTab(view, log, filter, clock, palette),
      roundsTab(view, log, rounds, palette, changed)
    ];
    const times = timeline(view, clock, changed);
    const counted = tag("output", { class: "counted" });
    const hint = tag("div", { class: "hint", hidden: true });
    const panel = tag("div", { role: "tabpanel", class: "panel" });
    const choose = (tab) => {
      shown = tab;
      tabbed.mark(tab);
      panel.replaceChildren(tab.element);
      times.row.hidden = !tab.animated;
      row.row.hidden = tab.name === "aggregation";
      view.root.dataset.tab = tab.name;
      changed();
    };
    const tabbed = tabList(tabs, choose);
    view.root.append(
      tag("div", { class: "head" }, tabbed.list, counted),
      row.row,
      hint,
      panel,
      times.row
    );
    choose(tabs[0]);

    let counts = 0;
    const count = () => {
      if (performance.now() - counts < 200) return;
      counts = performance.now();
      const all = sumOf(log.flows.filter((_, number) => filter.flows[number]));
      const some = log.every > 1 ? ` · 1 in ${log.every} is drawn, all are counted` : "";
      const any = sumOf(log.flows.filter(({ steering }) => filter.steering || !steering)).messages;
      const whole = any > all.messages ? ` of ${grouped(any)}` : "";
      const gone = log.gone ? ` · the first ${grouped(log.gone)} are totals by now` : "";
      const text = `${grouped(all.messages)}${whole} messages, ${bytes(all.bytes)}${some}${gone}`;
      hint.hidden = all.messages > 0 || shown.name === "aggregation";
      hint.textContent = any
        ? "No message matches these filters."
        : "No messages yet: they appear here as soon as roles call each other.";
      if (counted.textContent !== text) counted.textContent = text;
      Object.assign(view.root.dataset, {
        messages: all.messages,
        bytes: all.bytes,
        every: log.every
      });
    };
    const take = (content, buffers) => {
      log.take(content, buffers);
      rounds.take(content);
      if (clock.canLive) clock.told(content.now);
      changed();
    };
    let ready = false;
    view.on("past", (content, buffers) => {
      if (content.view !== undefined && content.view !== el.dataset.view) return; // another page's
      log.clear();
      rounds.clear();
      ready = true;
      take(content, buffers);
      filter.change({});
      if (!clock.canLive) clock.seek(clock.end);
      view.root.dataset.ready = "1";
    });
    view.on("batch", (content, buffers) => {
      if (ready) take(content, buffers);
    });
    if (view.offline) {
      const past = model.get("_past");
      take(past.content, past.buffers);
      clock.seek(clock.end);
      view.root.dataset.ready = "1";
    } else {
      el.dataset.view = String(Math.random());
      const begin = () => {
        // again, since the first messages of a page may wait for a running cell to end
        if (ready || view.signal.aborted) return;
        view.ask("catch_up", { view: el.dataset.view }).catch((error) => {
          if (!ready)
            view.root.append(tag("div", { class: "trouble", role: "alert" }, error.message));
        });
        setTimeout(begin, 1500);
      };
      begin();
    }

    let count_ = 0;
    let rest = 0; // until when the page gets time for other things
    frames(view, () => {
      if (performance.now() < rest) return;
      const moved = clock.tick();
      times.show();
      row.fill();
      count();
      const due = shown.animated ? moved : false;
      if (!shown.stage.wide || !(due || shown.stage.dirty)) return;
      if (!shown.animated && !shown.stage.pointer && performance.now() - drawn < 1000 / ROUNDS)
        return;
      drawn = performance.now();
      shown.stage.dirty = false;
      shown.draw();
      rest = performance.now() + Math.min(100, (performance.now() - drawn) / 2);
      view.root.dataset.frames = count_ += 1;
      view.root.dataset.took = (
        (performance.now() - drawn) * 0.1 +
        Number(view.root.dataset.took ?? 0) * 0.9
      ).toFixed(2);
    });
    return () => {
      palette.close();
      view.close();
    };
  }
});
