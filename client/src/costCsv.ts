/**
 * What was spent as comma-separated values, for a spreadsheet.
 *
 * Not here: adding it up (the host does). Easily got wrong: the ledger counts billionths of a dollar; here are dollars.
 */
import type { SpendingRow } from "../../server/src/protocol/types.ts";

/** Rows under the names of their fields; money in dollars. */
export function toCsv(rows: readonly SpendingRow[]): string {
  const names = [
    "day",
    "model",
    "session",
    "usd",
    "requests",
    "prompt_tokens",
    "cached_tokens",
    "output_tokens",
    "unpriced",
    "estimated",
  ];
  const cell = (value: string | number) =>
    /[",\n]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : value;
  const lines = rows.map((row) =>
    [
      row.day,
      row.model,
      row.sessionId,
      (row.nano / 1e9).toFixed(9),
      row.requests,
      row.promptTokens,
      row.cacheReadTokens,
      row.outputTokens,
      row.unpriced,
      row.estimated,
    ]
      .map(cell)
      .join(","),
  );
  return `${[names.join(","), ...lines].join("\n")}\n`;
}
