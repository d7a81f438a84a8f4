/**
 * What made a turn slow or expensive, in words: rules over its times, its usage and what the prompt cache did.
 *
 * Not here: measuring (`turnTimes.ts`, `waterfall.ts`) and drawing. Easily got wrong: findings are ordered by the share of
 * the turn's time or money that they explain, whichever it is; when nothing stands out there are none.
 */
import { expensiveRules } from "./expensive.ts";
import { type Finding, type Turn, weightOf } from "./finding.ts";
import { slowRules } from "./slow.ts";
import type { TurnTimes } from "./turnTimes.ts";
import type { Waterfall } from "./waterfall.ts";

/** Findings of one rule, and of a turn. */
const maxOfRule = 3;
const maxFindings = 8;

/** What stands out in a turn that has ended, what explains most first. Empty when nothing does. */
export function findingsOf(times: TurnTimes, waterfall: Waterfall): readonly Finding[] {
  const cost = [...times.steps, ...times.compactions].reduce((sum, one) => sum + (one.cost ?? 0), 0);
  const weight = times.steps.reduce((sum, { usage }) => sum + (usage ? weightOf(usage) : 0), 0);
  const turn: Turn = { times, waterfall, cost, weight };
  return [...slowRules, ...expensiveRules]
    .flatMap((rule) =>
      rule(turn)
        .toSorted((a, b) => b.share - a.share)
        .slice(0, maxOfRule),
    )
    .toSorted((a, b) => b.share - a.share)
    .slice(0, maxFindings);
}
