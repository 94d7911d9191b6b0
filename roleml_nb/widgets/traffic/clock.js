// The time that is shown: now, a little late so that batches have come, or any other; paused, or
// played at some speed.

import { clamp, tag } from "../base/common.js";
import { button } from "./stage.js";

const DELAY_S = 0.3;
const MAX_STEP_S = 0.25; // that a page which slept is played on by
const MAX_OFFSET_ERROR_S = 0.5;
const SPEEDS = [0.001, 0.01, 0.1, 0.25, 0.5, 1, 2, 5, 10, 50];
const SCALE_STEPS = 10000;

/** The time that is shown, in seconds of the trace. */
export class Clock {
  /**
   * @param {import("./log.js").Log} log
   * @param {import("./filter.js").Filter} filter
   * @param {boolean} live true if the time that is shown begins with now
   */
  constructor(log, filter, live) {
    this.log = log;
    this.filter = filter;
    this.canLive = live;
    this.live = live;
    this.playing = live;
    this.time = 0;
    this.speed = 1;
    /** @type {number | null} */
    this.offset = null; // of the kernel's time from the page's
    this.lastTick = performance.now() / 1000;
  }

  /**
   * Follow the kernel's time; small differences are smoothed.
   * @param {number} now
   */
  synchronize(now) {
    const offset = now - performance.now() / 1000;
    this.offset =
      this.offset === null || Math.abs(offset - this.offset) > MAX_OFFSET_ERROR_S
        ? offset
        : this.offset + 0.1 * (offset - this.offset);
  }

  /**
   * Go on by the time that has passed.
   * @returns {boolean} true if the time that is shown has changed
   */
  tick() {
    const now = performance.now() / 1000;
    const passed = Math.min(MAX_STEP_S, now - this.lastTick);
    this.lastTick = now;
    const before = this.time;
    if (this.live) {
      if (this.offset !== null) this.time = Math.max(before, now + this.offset - DELAY_S);
    } else if (this.playing) {
      this.time += passed * this.speed;
      if (this.time >= this.end) {
        this.time = this.end;
        this.playing = false;
      }
    }
    return this.time !== before;
  }

  get begin() {
    const begin = this.log.begins[this.filter.showControl ? 1 : 0];
    return Number.isFinite(begin) ? begin : 0;
  }

  get end() {
    return this.log.end + 0.02 * Math.max(0.5, this.log.end - this.begin);
  }

  get duration() {
    return this.end - this.begin;
  }

  pause() {
    this.live = this.playing = false;
  }

  play() {
    if (this.time >= this.end - 1e-9) this.time = this.begin;
    this.live = false;
    this.playing = true;
  }

  goLive() {
    this.live = this.playing = this.canLive;
  }

  /** @param {number} time */
  seek(time) {
    this.pause();
    this.time = clamp(time, this.begin, this.end);
  }
}

/**
 * Make the row of controls: play, the scale of time, the speed, and back to now.
 * @param {import("../base/common.js").View} view
 * @param {Clock} clock
 * @param {() => void} scheduleDraw
 * @returns {{element: HTMLElement, update: () => void}}
 */
export function makeTimeline(view, clock, scheduleDraw) {
  const play = tag("button", {
    class: "play",
    onclick: () => {
      if (clock.playing) clock.pause();
      else clock.play();
      scheduleDraw();
    }
  });
  const scale = tag("input", {
    type: "range",
    class: "scale",
    min: 0,
    max: SCALE_STEPS,
    step: 1,
    "aria-label": "time",
    oninput: () => {
      clock.seek(clock.begin + (Number(scale.value) / SCALE_STEPS) * clock.duration);
      scheduleDraw();
    }
  });
  const output = tag("output", { class: "time" });
  const speed = tag(
    "select",
    {
      class: "speed",
      "aria-label": "speed",
      onchange: () => {
        clock.speed = Number(speed.value);
        scheduleDraw();
      }
    },
    ...SPEEDS.map((times) => tag("option", { value: times, selected: times === 1 }, `${times}×`))
  );
  const live = button(
    "live",
    "what happens now",
    () => {
      clock.goLive();
      scheduleDraw();
    },
    { class: "live" }
  );
  live.hidden = !clock.canLive;
  const element = tag("div", { class: "timeline" }, play, scale, output, speed, live);
  const update = () => {
    play.textContent = clock.playing ? "❚❚" : "▶";
    play.title = clock.playing ? "pause" : "play";
    play.setAttribute("aria-label", play.title);
    live.setAttribute("aria-pressed", String(clock.live));
    const { time, duration } = clock;
    const share = (time - clock.begin) / Math.max(1e-9, duration);
    if (view.shadow.activeElement !== scale || clock.playing)
      scale.value = String(Math.round(SCALE_STEPS * clamp(share, 0, 1)));
    const text = `${time.toFixed(duration < 1 ? 4 : duration < 30 ? 2 : 1)} s`;
    if (output.textContent !== text) output.textContent = text;
  };
  return { element, update };
}
