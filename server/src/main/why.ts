/**
 * What made the last turn of a session slow or expensive, for the terminal: findings, then the parts of its time.
 *
 * Not here: the rules (`report/`). Easily got wrong: titles of calls are the model's words and must not steer the terminal.
 */
import { stripVTControlCharacters } from "node:util";
import type { SessionEvent } from "../protocol/events.ts";
import type { Finding } from "../report/finding.ts";
import { findingsOf } from "../report/findings.ts";
import { duration, percent } from "../report/numbers.ts";
import { turnTimes } from "../report/turnTimes.ts";
import { causeNames, type Waterfall, waterfallOf } from "../report/waterfall.ts";

/** The last turn that has ended. */
export interface Explanation {
  readonly findings: readonly Finding[];
  readonly waterfall: Waterfall;
}

/** Explains the last turn of a session that has ended; `undefined` when none has. */
export function explainLast(events: readonly SessionEvent[]): Explanation | undefined {
  const times = turnTimes(events).findLast(({ endedAt }) => endedAt !== undefined);
  if (!times) return undefined;
  const waterfall = waterfallOf(times);
  return { findings: findingsOf(times, waterfall), waterfall };
}

/** An explanation as lines for a terminal. */
export function explanationLines({ findings, waterfall }: Explanation): readonly string[] {
  const { parts, totalMs } = waterfall;
  const width = Math.max(0, ...parts.map(({ cause }) => causeNames[cause].length));
  const line = (name: string, ms: number) =>
    `  ${name.padEnd(width)}${duration(ms).padStart(14)}${percent(ms / Math.max(1, totalMs)).padStart(8)}`;
  const said = findings.map(({ text }) => `- ${stripVTControlCharacters(text)}`);
  return [
    ...(said.length > 0 ? said : ["Nothing stands out in the last turn."]),
    "",
    ...parts.map(({ cause, ms }) => line(causeNames[cause], ms)),
    line("In all", totalMs),
  ];
}
