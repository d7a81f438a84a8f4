/**
 * The one way in to the model double: an HTTP server on loopback that plays scripts to the real SDKs through the real
 * wire formats, remembers every byte it got, and reports every rule that a request broke.
 *
 * Not here: its parts, in `double/`. Easily got wrong: violations are only collected; call `assertClean` to fail.
 */

export type { Violation } from "./double/invariants.ts";
export type { RecordedRequest } from "./double/journal.ts";
export type { Fault, Position, Script, ScriptCall, Step, StepSource } from "./double/script.ts";
export { type DoubleOptions, type ModelDouble, startModelDouble } from "./double/server.ts";
export type { Timing } from "./double/timing.ts";
