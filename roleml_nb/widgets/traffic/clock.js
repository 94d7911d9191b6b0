// The time that is shown: now, a little late so that batches have come, or any other; paused, or
// played at some speed.

import { clamp, tag } from "../base/common.js";
import { button } from "./stage.js";

const LATE = 0.3; // s
const SPEEDS = [0.001, 0.01, 0.1, 0.25, 0.5, 1, 2, 5, 10, 50];

export class Clock {
  constructor(log, filter, live) {
    Object.assign(this, {
      log,
      filter,
      canLive: live,
      live,
      playing: live,
      at: 0,
      speed: 1,
      ahead: null,
      last: performance.now() / 1000
    });
  }

  // The kernel has told what time it is.
  told(now) {
    const ahead = now - performance.now() / 1000;
    this.ahead =
      this.ahead === null || Math.abs(ahead - this.ahead) > 0.5
        ? ahead
        : this.ahead + 0.1 * (ahead - this.ahead);
  }

  // Go on by the time that has passed; whether the time that is shown has changed.
  tick() {
    const now = performance.now() / 1000;
    const passed = Math.min(0.25, now - this.last);
    this.last = now;
    const before = this.at;
    if (this.live) {
      if (this.ahead !== null) this.at = Math.max(before, now + this.ahead - LATE);
    } else if (this.playing) {
      this.at += passed * this.speed;
      if (this.at >= this.end) {
        this.at = this.end;
        this.playing = false;
      }
    }
    return this.at !== before;
  }

  get begin() {
    const begin = this.log.begins[this.filter.steering ? 1 : 0];
    return Number.isFinite(begin) ? begin : 0;
  }

  get end() {
    return this.log.end + 0.02 * Math.max(0.5, this.log.end - this.begin);
  }

  pause() {
    this.live = this.playing = false;
  }

  play() {
    if (this.at >= this.end - 1e-9) this.at = this.begin;
    this.live = false;
    this.playing = true;
  }

  goLive() {
    this.live = this.playing = this.canLive;
  }

  seek(at) {
    this.pause();
    this.at = clamp(at, this.begin, this.end);
  }
}

// The row of controls: play, the scale of time, the speed, and back to now.
export function timeline(view, clock, changed) {
  const play = tag("button", {
    class: "play",
    onclick: () => {
      if (clock.playing) clock.pause();
      else clock.play();
      changed();
    }
  });
  const scale = tag("input", {
    type: "range",
    class: "scale",
    min: 0,
    max: 10000,
    step: 1,
    "aria-label": "time",
    oninput: () => {
      clock.seek(clock.begin + (scale.value / 10000) * (clock.end - clock.begin));
      changed();
    }
  });
  const shown = tag("output", { class: "time" });
  const speed = tag(
    "select",
    {
      class: "speed",
      "aria-label": "speed",
      onchange: () => {
        clock.speed = Number(speed.value);
        changed();
      }
    },
    ...SPEEDS.map((times) => tag("option", { value: times, selected: times === 1 }, `${times}×`))
  );
  const live = button(
    "live",
    "what happens now",
    () => {
      clock.goLive();
      changed();
    },
    { class: "live" }
  );
  live.hidden = !clock.canLive;
  const row = tag("div", { class: "timeline" }, play, scale, shown, speed, live);
  const show = () => {
    play.textContent = clock.playing ? "❚❚" : "▶";
    play.title = clock.playing ? "pause" : "play";
    play.setAttribute("aria-label", play.title);
    live.setAttribute("aria-pressed", String(clock.live));
    const share = (clock.at - clock.begin) / Math.max(1e-9, clock.end - clock.begin);
    if (view.shadow.activeElement !== scale || clock.playing)
      scale.value = String(Math.round(10000 * clamp(share, 0, 1)));
    const span = clock.end - clock.begin;
    const text = `${clock.at.toFixed(span < 1 ? 4 : span < 30 ? 2 : 1)} s`;
    if (shown.textContent !== text) shown.textContent = text;
  };
  return { row, show };
}
