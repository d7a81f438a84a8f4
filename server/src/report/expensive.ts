/**
 * Rules for what made a turn expensive.
 *
 * Not here: time (`slow.ts`). Easily got wrong: a break of the prompt cache explains what a step sent anew, so that no other
 * rule speaks of it.
 */
import type { CacheBreak, CacheBreakCause, Usage } from "../protocol/types.ts";
import {
  type Finding,
  type FoundBy,
  moneyShare,
  ofMoney,
  outputWeight,
  partMs,
  promptTokens,
  rowIdOf,
  type Turn,
  timeShare,
} from "./finding.ts";
import { count, dollars, percent } from "./numbers.ts";

// The thresholds of steps and tokens are the usual ones for agents.
const manySteps = 10;
const manyTokens = 10_000;
const muchThinkingTokens = 2_000;
const dearStepUsd = 0.05;
const dearCompactionUsd = 0.01;

/** What each looks for is its name. */
export const expensiveRules: readonly FoundBy[] = [
  tooManySteps,
  cacheBreaks,
  newTokens,
  thinking,
  priceSteps,
  dearSteps,
  compactions,
];

/** What the steps beyond the usual number explain. */
function tooManySteps(turn: Turn): readonly Finding[] {
  const { steps } = turn.times;
  const beyond = steps.slice(manySteps);
  if (beyond.length === 0) return [];
  const tokens = steps.reduce((sum, { usage }) => sum + (usage ? promptTokens(usage) : 0), 0);
  const share = Math.max(
    beyond.reduce((sum, step) => sum + timeShare(turn, step), 0),
    beyond.reduce((sum, step) => sum + moneyShare(turn, step), 0),
  );
  const text = `The turn took ${steps.length} steps, and each sent the conversation again: ${count(tokens)} tokens in all.`;
  return [{ rule: "many_steps", text, share, row: rowIdOf(beyond[0]) }];
}

const breakWords: { readonly [cause in CacheBreakCause]: string } = {
  model_changed: "another model answered",
  conversation_restored: "the conversation went back",
  compacted: "the conversation was compacted",
  pictures_changed: "it holds pictures for the first time",
  expired: "the pause was longer than the vendor keeps a prompt",
  request_changed: "the request was not the one from before",
  not_read: "the vendor did not read what it had kept",
};

function cacheBreaks(turn: Turn): readonly Finding[] {
  return turn.times.steps.flatMap((step) => {
    const broken = step.cache?.break;
    if (!broken || broken.missedTokens === 0) return [];
    const text = `The prompt cache was missed in step ${step.step}: ${count(broken.missedTokens)} tokens were sent anew, because ${breakWords[broken.cause]}${detailOf(broken)}.`;
    const share = ofMoney(turn, step, broken.missedTokens);
    return [{ rule: "cache_missed", text, share, row: rowIdOf(step) }];
  });
}

function detailOf({ block, vendorReason }: CacheBreak): string {
  const details = [
    ...(block === undefined ? [] : [`first in ${block}`]),
    ...(vendorReason === undefined ? [] : [`the vendor says ${vendorReason}`]),
  ];
  return details.length > 0 ? ` (${details.join("; ")})` : "";
}

/** Large requests of which little was cached, where no break of the cache explains it. */
function newTokens(turn: Turn): readonly Finding[] {
  return turn.times.steps.flatMap((step) => {
    const { usage, cache } = step;
    const tokens = usage ? usage.inputTokens + usage.cacheWriteTokens : 0;
    if (!usage || tokens <= manyTokens || cache?.break) return [];
    const all = promptTokens(usage);
    const text =
      tokens === all
        ? `Step ${step.step} sent ${count(tokens)} tokens, none of which were in the prompt cache.`
        : `Step ${step.step} sent ${count(tokens)} tokens that were not in the prompt cache, of ${count(all)}.`;
    return [{ rule: "new_tokens", text, share: ofMoney(turn, step, tokens), row: rowIdOf(step) }];
  });
}

function thinking(turn: Turn): readonly Finding[] {
  const { steps } = turn.times;
  const sum = (pick: (usage: Usage) => number, of = steps) =>
    of.reduce((total, { usage }) => total + (usage ? pick(usage) : 0), 0);
  const thought = sum((usage) => usage.thinkingTokens);
  const written = sum((usage) => usage.outputTokens);
  if (thought < muchThinkingTokens || thought < written / 2) return [];
  const [most] = steps.toSorted((a, b) => (b.usage?.thinkingTokens ?? 0) - (a.usage?.thinkingTokens ?? 0));
  const ofAnswer = thought / written;
  const share = Math.max(
    (ofAnswer * partMs(turn, "generation")) / Math.max(1, turn.waterfall.totalMs),
    (thought * outputWeight) / Math.max(1, turn.weight),
  );
  const text = `The model wrote ${count(thought)} tokens of thinking, ${percent(ofAnswer)} of all that it wrote.`;
  return [{ rule: "thinking", text, share, row: rowIdOf(most) }];
}

function priceSteps(turn: Turn): readonly Finding[] {
  const above = turn.times.steps.filter(({ priceStepTokens }) => priceStepTokens !== undefined);
  const [first] = above;
  if (!first) return [];
  const which = above.length === 1 ? `Step ${first.step} was` : `${above.length} steps from step ${first.step} on were`;
  const text = `${which} longer than ${count(first.priceStepTokens ?? 0)} tokens, above which the model's price is higher.`;
  const share = above.reduce((sum, step) => sum + moneyShare(turn, step), 0);
  return [{ rule: "price_step", text, share, row: rowIdOf(first) }];
}

/** One step of several that cost more than all others together. */
function dearSteps(turn: Turn): readonly Finding[] {
  const { times, cost } = turn;
  if (times.steps.length < 3) return [];
  return times.steps.flatMap((step) => {
    const usd = step.cost ?? 0;
    if (usd < dearStepUsd || usd <= cost / 2) return [];
    const text = `Step ${step.step} alone cost ${dollars(usd)} of ${dollars(cost)}.`;
    return [{ rule: "dear_step", text, share: usd / cost, row: rowIdOf(step) }];
  });
}

function compactions({ times, cost }: Turn): readonly Finding[] {
  return times.compactions.flatMap(({ cost: usd = 0, tokensBefore, tokensAfter }, index) => {
    if (usd < dearCompactionUsd) return [];
    const text = `Compacting the conversation from ${count(tokensBefore)} to ${count(tokensAfter)} tokens cost ${dollars(usd)}.`;
    return [{ rule: "compaction_cost", text, share: usd / cost, row: `compaction ${index + 1}` }];
  });
}
