/**
 * Ten thousand random turns against the prompt-cache contract: a minute.
 *
 * Not here: what is judged (`test/support/promptCache/stage.ts`). Easily got wrong: the seed is fixed, so the same turns are
 * played each time; a failure prints its own, shrunk.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { playConversation } from "../support/promptCache/play.ts";
import { conversation, turnsOfConversation } from "../support/promptCache/turns.ts";

test("10,000 random turns: requests only append, and every break of the prompt cache is planned and named", async () => {
  let turns = 0;
  const causes = new Map<string, number>();
  const property = fc.asyncProperty(conversation, async (given) => {
    turns += given.turns.length;
    const played = await playConversation(given);
    expect(played.wrong).toEqual([]);
    for (const cause of played.causes) causes.set(cause, (causes.get(cause) ?? 0) + 1);
  });
  await fc.assert(property, { numRuns: 10_000 / turnsOfConversation, seed: 20261121 });
  expect(turns).toBe(10_000);
  // None of them is there by chance alone.
  for (const cause of ["model_changed", "conversation_restored", "compacted", "pictures_changed", "expired"])
    expect(causes.get(cause) ?? 0, cause).toBeGreaterThan(50);
}, 600_000);
