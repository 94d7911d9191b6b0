// Numbers as text: counts, sizes, durations, shares; and the order of names.

/** What "latency" means, for a tooltip. */
export const LATENCY_TITLE =
  "from when a message was sent until it was received, on average, by the clocks of both;" +
  " – within one process, where it is handed over at once";

const BYTE_UNITS = ["B", "kB", "MB", "GB", "TB"];

/**
 * Compare names for sorting, numbers in them by their value.
 * @type {(one: string, other: string) => number}
 */
export const compareNaturally = new Intl.Collator("en", { numeric: true }).compare;

/**
 * Format a count: 1,234.
 * @param {number} number
 * @returns {string}
 */
export function formatCount(number) {
  return number.toLocaleString("en");
}

/**
 * Format a number of bytes: 1.23 kB.
 * @param {number} count
 * @returns {string}
 */
export function formatBytes(count) {
  let unit = 0;
  for (; count >= 1000 && unit < BYTE_UNITS.length - 1; unit += 1) count /= 1000;
  return `${unit && count < 100 ? count.toPrecision(3) : Math.round(count)} ${BYTE_UNITS[unit]}`;
}

/**
 * Format a duration: 12.3 ms.
 * @param {number} seconds
 * @returns {string}
 */
export function formatDuration(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  const size = Math.abs(seconds);
  if (size < 1e-6) return "< 1 µs";
  if (size < 1e-3) return `${(seconds * 1e6).toFixed(0)} µs`;
  if (size < 1) return `${(seconds * 1e3).toPrecision(3)} ms`;
  return `${size < 100 ? seconds.toPrecision(3) : seconds.toFixed(0)} s`;
}

/**
 * Format the time that a message took; 0 within one process.
 * @param {number} seconds
 * @returns {string}
 */
export function formatFlight(seconds) {
  return seconds ? `${formatDuration(seconds)} on the way` : "within one process";
}

/**
 * Format the mean latency of the messages that crossed from one process to another.
 * @param {{seconds: number, travelled: number}} totals
 * @returns {string}
 */
export function formatLatency({ seconds, travelled }) {
  return travelled ? formatDuration(seconds / travelled) : "–";
}

/**
 * Format a share of 1: 12.3 %.
 * @param {number} share
 * @returns {string}
 */
export function formatPercent(share) {
  return `${(100 * share).toPrecision(3)} %`;
}
