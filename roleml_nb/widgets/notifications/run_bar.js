// The bar of runs: name, rounds, rate, time left; buttons to pause, step and stop.

import { openView, tag } from "../base/common.js";

const NO_RUN = "no run yet: begin one with bed.run(…) or %rml call";

function formatSeconds(seconds) {
  if (seconds < 90) return `${seconds} s`;
  return seconds < 5400
    ? `${Math.round(seconds / 60)} min`
    : `${(seconds / 3600).toPrecision(2)} h`;
}

export default () => ({
  render({ model, el }) {
    const view = openView({ model, el }, "runbar");
    const name = tag("b", { class: "name" });
    const text = tag("span", { class: "text" });
    const fill = tag("div", { class: "fill" });
    const track = tag(
      "div",
      {
        class: "track",
        role: "progressbar",
        "aria-label": "rounds",
        "aria-valuemin": 0,
        "aria-valuemax": 100
      },
      fill
    );
    const message = tag("span", { class: "message" });
    const control = async (kind) => {
      message.textContent = `${kind} …`;
      try {
        await view.request(kind);
        message.textContent = "";
        view.announce(kind);
      } catch (error) {
        message.textContent = error.message;
      }
    };
    const pause = tag("button", { class: "pause", onclick: () => control(pause.dataset.kind) });
    const step = tag(
      "button",
      { class: "step", title: "do one round, then be paused", onclick: () => control("step") },
      "one round"
    );
    const stop = tag(
      "button",
      {
        class: "stop",
        title: "end what handlers do; nodes and roles stay",
        onclick: () => control("stop")
      },
      "stop"
    );
    view.root.append(
      tag(
        "div",
        { class: "line" },
        name,
        text,
        message,
        tag("div", { class: "buttons" }, pause, step, stop)
      ),
      track
    );
    view.onTrait("_run", (run) => {
      const running = run.state === "running";
      view.root.dataset.state = run.state ?? "none";
      name.textContent = run.name ?? NO_RUN;
      const parts = [run.paused ? "paused" : run.state, run.rounds];
      if (running && !run.paused)
        parts.push(
          run.rate !== null && `${run.rate} rounds/s`,
          run.left !== null && `${formatSeconds(run.left)} left`
        );
      else if (run.state) parts.push(formatSeconds(run.seconds));
      text.textContent = run.name ? parts.filter(Boolean).join(" · ") : "";
      const fraction = run.state === "done" ? 1 : (run.fraction ?? 0);
      fill.style.width = `${100 * fraction}%`;
      track.setAttribute("aria-valuenow", String(Math.round(100 * fraction)));
      fill.className = `fill ${run.paused ? "paused" : (run.state ?? "")}`;
      pause.dataset.kind = run.paused ? "resume" : "pause";
      pause.textContent = run.paused ? "go on" : "pause";
      pause.title = run.paused ? "go on with the run" : "pause before the next round";
      for (const button of [pause, step]) button.disabled = view.offline || !run.pausable;
      stop.disabled = view.offline || !run.stoppable;
    });
    return view.close;
  }
});
