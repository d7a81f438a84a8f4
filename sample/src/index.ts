/** Reads and writes spans of time. A span is a number of milliseconds. */
export { type FormatOptions, format } from "./format.ts";
export { parse } from "./parse.ts";
export { roundTo, truncateTo } from "./round.ts";
export { SpanSyntaxError } from "./tokenize.ts";
export type { UnitName } from "./units.ts";
