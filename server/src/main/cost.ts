/**
 * What was spent, for people: the ledger's rows with the titles of their sessions, and as lines of a table.
 *
 * Not here: keeping the ledger (`storage/spending.ts`). Easily got wrong: a price that is not known is told apart from
 * nothing, and so is what is only an upper bound.
 */
import { systemClock } from "../base/async.ts";
import { amountInWords } from "../model/budgetWords.ts";
import type { CostSummaryResult } from "../protocol/methods.ts";
import type { LimitStanding, SessionId, SpendingRow } from "../protocol/types.ts";
import { type LocalHost, localDay } from "./local.ts";

/** Months that can be asked for at once. */
const maxMonths = 24;

/** The rows of the last `months` months, the titles of sessions of this folder, and the limits with what is used of them. */
export async function summariseCost(
  { host, spending, limits }: LocalHost,
  months: number,
  sessionId?: SessionId,
): Promise<CostSummaryResult> {
  const count = Math.min(maxMonths, Math.max(1, Math.floor(months) || 1));
  const [rows, { sessions }, standings] = await Promise.all([
    spending.rows(count),
    host.listSessions({ limit: 500 }),
    limits.standings(sessionId),
  ]);
  const titles = Object.fromEntries(sessions.map(({ sessionId: id, title }) => [id, title]));
  return { today: localDay(systemClock.now()), rows, titles, limits: standings };
}

/** A line for each limit: what is used of it and what is left. */
export function limitLines(limits: readonly LimitStanding[]): readonly string[] {
  return limits.map(({ period, unit, configured, limit, spent }) => {
    const words = (value: number) => amountInWords(unit, value);
    const raised = limit > configured ? ` (raised from ${words(configured)})` : "";
    return `limit per ${period}: ${words(spent)} of ${words(limit)}${raised}, ${words(Math.max(0, limit - spent))} left`;
  });
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
