/**
 * Rules for what made a turn slow.
 *
 * Not here: money (`expensive.ts`). Easily got wrong: each rule has a threshold below which nobody notices what it is about.
 */
import {
  type Finding,
  type FoundBy,
  ofStep,
  ofTime,
  partMs,
  rowIdOf,
  sentence,
  spansOf,
  type Turn,
} from "./finding.ts";
import { count, duration } from "./numbers.ts";
import type { StepTimes } from "./turnTimes.ts";
import { type Cause, countedMs, type Row } from "./waterfall.ts";

// The thresholds of models and tools are the usual ones for agents.
const slowModelMs = 5_000;
const modelShare = 0.8;
const slowToolMs = 2_000;
const slowApprovalMs = 2_000;
const noticedMs = 1_000;
const unexplainedShare = 0.05;

/** What each looks for is its name. */
export const slowRules: readonly FoundBy[] = [
  approvals,
  slowTools,
  slowBeginnings,
  slowAnswers,
  mostlyModel,
  retries,
  otherWaits,
  restarts,
  modelChanges,
  unexplained,
];

function approvals(turn: Turn): readonly Finding[] {
  const ms = partMs(turn, "approval");
  if (ms < slowApprovalMs) return [];
  const asked = spansOf(turn, "approval");
  const [longest] = asked;
  const others = asked.length > 1 ? ` and ${asked.length - 1} more` : "";
  const isCall = longest?.row.operation === "execute_tool";
  const what = isCall ? `for your approval of “${longest.row.label}”` : "for you at a limit";
  return [ofTime(turn, "approval", ms, `it waited ${what}${others}`, longest?.row)];
}

function slowTools(turn: Turn): readonly Finding[] {
  const rows = turn.waterfall.rows.filter(({ operation }) => operation === "execute_tool");
  return rows.flatMap((row) => {
    const own: readonly Cause[] = ["tool", "apply"];
    const spans = row.spans.filter(({ cause }) => own.includes(cause));
    const took = spans.reduce((sum, { fromMs, toMs }) => sum + toMs - fromMs, 0);
    if (took <= slowToolMs) return [];
    return [ofTime(turn, "slow_tool", countedOf(turn, row, own), `“${row.label}” ran for ${duration(took)}`, row)];
  });
}

function slowBeginnings(turn: Turn): readonly Finding[] {
  return turn.waterfall.rows.flatMap((row) => {
    const ms = countedOf(turn, row, ["first_token"]);
    if (ms <= slowModelMs) return [];
    return [ofTime(turn, "slow_first_token", ms, `the model had not begun to answer in ${lower(row.label)}`, row)];
  });
}

function slowAnswers(turn: Turn): readonly Finding[] {
  return turn.waterfall.rows.flatMap((row) => {
    const ms = countedOf(turn, row, ["generation"]);
    if (ms <= slowModelMs) return [];
    const usage = stepOf(turn, row)?.usage;
    const tokens = usage && usage.outputTokens > 0 ? ` ${count(usage.outputTokens)} tokens` : "";
    return [ofTime(turn, "slow_answer", ms, `the model wrote${tokens} in ${lower(row.label)}`, row)];
  });
}

function mostlyModel(turn: Turn): readonly Finding[] {
  const ms = partMs(turn, "generation") + partMs(turn, "first_token");
  const { totalMs } = turn.waterfall;
  if (ms <= slowModelMs || ms <= modelShare * totalMs) return [];
  const steps = turn.times.steps.length;
  const asked = steps === 1 ? "asked once" : `asked ${steps} times`;
  return [ofTime(turn, "mostly_model", ms, `it was the model's own, which was ${asked}; a faster one would help most`)];
}

function retries(turn: Turn): readonly Finding[] {
  const waits = spansOf(turn, "wait");
  const [longest] = waits;
  if (!longest) return [];
  const times = waits.length === 1 ? "one wait" : `${waits.length} waits`;
  const reason = longest.span.reason ? `: ${longest.span.reason.replace(/[.\s]+$/, "")}` : "";
  return [ofTime(turn, "retry", partMs(turn, "wait"), `${times} before asking again${reason}`, longest.row)];
}

const waitWords: { readonly [cause in Cause]?: string } = {
  queue: "requests waited for their turn, because others of the same key were open (hermes.model.concurrency)",
  connect: "connections to the model's server had to be opened",
  settle: "edits waited for the editor's formatter and problems (hermes.edits.diagnosticsWaitMs)",
  prepare: "the model and an answer from before were looked for",
  build: "Hermes prepared its requests",
  compaction: "the conversation was compacted before it could go on",
  tool_queue: "calls waited for others that touch the same files, or for a free place",
  paint: "the panel drew the end of the turn",
};

function otherWaits(turn: Turn): readonly Finding[] {
  return turn.waterfall.parts.flatMap(({ cause, ms }) => {
    const words = waitWords[cause];
    return words && ms >= noticedMs ? [ofTime(turn, cause, ms, words, spansOf(turn, cause)[0]?.row)] : [];
  });
}

function restarts(turn: Turn): readonly Finding[] {
  return turn.times.steps.flatMap((step) =>
    step.restarted === undefined
      ? []
      : [ofStep(turn, "restarted", step, `Step ${step.step} was asked twice: ${sentence(step.restarted)}`)],
  );
}

function modelChanges(turn: Turn): readonly Finding[] {
  return turn.times.changes.flatMap(({ step: number, label, reason }) => {
    const step = turn.times.steps.find((one) => one.step === number);
    const text = `After step ${number}, ${label} went on: ${sentence(reason)}`;
    return step ? [ofStep(turn, "model_changed", step, text)] : [];
  });
}

function unexplained(turn: Turn): readonly Finding[] {
  const ms = partMs(turn, "other") + partMs(turn, "unknown");
  const isMuch = ms >= noticedMs && ms > unexplainedShare * turn.waterfall.totalMs;
  return isMuch ? [ofTime(turn, "other", ms, "nothing that was recorded explains it")] : [];
}

/** How long the turn was put down to these causes in a row. */
function countedOf({ waterfall }: Turn, { spans }: Row, own: readonly Cause[]): number {
  const counted = spans.filter(({ cause }) => own.includes(cause)).map((span) => countedMs(waterfall.rows, span));
  return counted.reduce((sum, ms) => sum + ms, 0);
}

function stepOf({ times }: Turn, { id }: Row): StepTimes | undefined {
  return times.steps.find((step) => rowIdOf(step) === id);
}

function lower(label: string): string {
  return label.charAt(0).toLowerCase() + label.slice(1);
}
