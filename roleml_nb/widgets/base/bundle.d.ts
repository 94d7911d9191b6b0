// What the bundler puts before the scripts.

/** The styles of a view, for its shadow root. */
declare const STYLE: string;
