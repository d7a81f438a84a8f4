/**
 * What was spent, for people: the ledger's rows with the titles of their sessions, and as lines of a table.
 *
 * Not here: keeping the ledger (`storage/spending.ts`). Easily got wrong: a price that is not known is told apart from
 * nothing, and so is what is only an upper bound.
 */
import { systemClock } from "../base/async.ts";
import type { CostSummaryResult } from "../protocol/methods.ts";
import type { SpendingRow } from "../protocol/types.ts";
import { type LocalHost, localDay } from "./local.ts";

/** Months that can be asked for at once. */
const maxMonths = 24;

/** The rows of the last `months` months, and the titles of sessions of this folder. */
export async function summariseCost({ host, spending }: LocalHost, months: number): Promise<CostSummaryResult> {
  const count = Math.min(maxMonths, Math.max(1, Math.floor(months) || 1));
  const [rows, { sessions }] = await Promise.all([spending.rows(count), host.listSessions({ limit: 500 })]);
  const titles = Object.fromEntries(sessions.map(({ sessionId, title }) => [sessionId, title]));
  return { today: localDay(systemClock.now()), rows, titles };
}

/** A line for each day and model, and one for their sum. */
export function costTable(rows: readonly SpendingRow[]): readonly string[] {
  const groups = Map.groupBy(rows, ({ day, model }) => `${day}  ${model}`);
  const width = Math.max(5, ...[...groups.keys()].map((key) => key.length));
  const line = (name: string, group: readonly SpendingRow[]) => {
    const sum = (pick: (row: SpendingRow) => number) => group.reduce((total, row) => total + pick(row), 0);
    const prompt = sum((row) => row.promptTokens);
    const cached = prompt > 0 ? Math.round((100 * sum((row) => row.cacheReadTokens)) / prompt) : 0;
    const notes = [
      ...(sum((row) => row.unpriced) > 0 ? [`${sum((row) => row.unpriced)} without a known price`] : []),
      ...(sum((row) => row.estimated) > 0 ? [`${sum((row) => row.estimated)} cut off, counted at their most`] : []),
    ];
    const numbers = [
      `$${(sum((row) => row.nano) / 1e9).toFixed(4)}`.padStart(11),
      `${sum((row) => row.requests)} requests`.padStart(14),
      `${prompt} in`.padStart(14),
      `${cached} % cached`.padStart(13),
      `${sum((row) => row.outputTokens)} out`.padStart(13),
    ];
    return `${name.padEnd(width)}${numbers.join("")}${notes.length > 0 ? `  (${notes.join("; ")})` : ""}`;
  };
  return [...[...groups].map(([name, group]) => line(name, group)), line("total", rows)];
}
