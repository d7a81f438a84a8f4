/**
 * What a finding is, and the shares of a turn's time and money that findings are worded and ordered by.
 *
 * Not here: the rules (`slow.ts`, `expensive.ts`). Easily got wrong: shares of time are measured, shares of money within a
 * step are estimates.
 */
import type { Usage } from "../protocol/types.ts";
import { duration, percent } from "./numbers.ts";
import type { StepTimes, TurnTimes } from "./turnTimes.ts";
import type { Cause, Row, Span, Waterfall } from "./waterfall.ts";

/** Something that stands out. */
export interface Finding {
  /** A stable word for programs. */
  readonly rule: string;
  /** A sentence with its numbers. */
  readonly text: string;
  /** From 0 to 1: how much of the turn's time or money it explains. */
  readonly share: number;
  /** The row of the waterfall that it is about. */
  readonly row?: string;
}

/** What findings are made of. */
export interface Turn {
  readonly times: TurnTimes;
  readonly waterfall: Waterfall;
  /** US dollars; 0 where nothing has a price. */
  readonly cost: number;
  /** How much of the turn's money went to what, estimated. */
  readonly weight: number;
}

/** A rule: what it finds, in no order. */
export type FoundBy = (turn: Turn) => readonly Finding[];

/** A finding about time, worded by its share: `62 % of the time (26 s): what.` */
export function ofTime(turn: Turn, rule: string, ms: number, what: string, row?: Row): Finding {
  const share = ms / Math.max(1, turn.waterfall.totalMs);
  const begin =
    share > 0.5
      ? `Most of the time (${percent(share)}, ${duration(ms)})`
      : `${percent(share)} of the time (${duration(ms)})`;
  return { rule, text: `${begin}: ${what}.`, share, ...(row ? { row: row.id } : {}) };
}

/** A finding that explains what a whole step took or cost. */
export function ofStep(turn: Turn, rule: string, step: StepTimes, text: string): Finding {
  return { rule, text, share: Math.max(timeShare(turn, step), moneyShare(turn, step)), row: rowIdOf(step) };
}

/** How much of the turn's time a step took. */
export function timeShare({ waterfall }: Turn, { startedAt, endedAt = startedAt }: StepTimes): number {
  return (endedAt - startedAt) / Math.max(1, waterfall.totalMs);
}

/** How much of the turn's money a step cost. */
export function moneyShare({ cost }: Turn, step: StepTimes): number {
  return cost > 0 ? (step.cost ?? 0) / cost : 0;
}

/** The share of the turn's money that tokens of a step's prompt explain which were sent anew. */
export function ofMoney({ weight }: Turn, { usage }: StepTimes, tokens: number): number {
  return usage && weight > 0 ? Math.min(weightOf(usage), tokens) / weight : 0;
}

// What a cached token costs beside one that is not, at most vendors.
const cachedWeight = 0.1;
/** Tokens of a prompt that one of the answer costs as much as, at most vendors. */
export const outputWeight = 5;

/** What a request cost, in tokens of a prompt that is not cached: an estimate, for where vendors do not say more. */
export function weightOf({ inputTokens, cacheWriteTokens, cacheReadTokens, outputTokens }: Usage): number {
  return inputTokens + cacheWriteTokens + cachedWeight * cacheReadTokens + outputWeight * outputTokens;
}

/** All tokens of a prompt. */
export function promptTokens({ inputTokens, cacheReadTokens, cacheWriteTokens }: Usage): number {
  return inputTokens + cacheReadTokens + cacheWriteTokens;
}

/** Milliseconds that were put down to a cause. */
export function partMs({ waterfall }: Turn, cause: Cause): number {
  return waterfall.parts.find((part) => part.cause === cause)?.ms ?? 0;
}

/** All spans of a cause with their rows, the longest first. */
export function spansOf({ waterfall }: Turn, cause: Cause): readonly { readonly row: Row; readonly span: Span }[] {
  return waterfall.rows
    .flatMap((row) => row.spans.filter((span) => span.cause === cause).map((span) => ({ row, span })))
    .toSorted((a, b) => b.span.toMs - b.span.fromMs - (a.span.toMs - a.span.fromMs));
}

/** The row of a step. */
export function rowIdOf(step: StepTimes | undefined): string {
  return `step ${step?.step ?? 1}`;
}

/** The text with one full stop at its end. */
export function sentence(text: string): string {
  return `${text.replace(/[.\s]+$/, "")}.`;
}
