/**
 * The prompt-cache contract over random turns of a conversation, through the real host: requests only ever append, every
 * break is planned and named, and the request ledger names the first block of one that is not.
 *
 * Not here: ten thousand turns (`test/exhaustive/promptCache.test.ts`), what a task costs (`cacheOracle.test.ts`).
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { playConversation } from "../support/promptCache/play.ts";
import { conversation } from "../support/promptCache/turns.ts";

test("random turns: every break of the prompt cache is planned and named", async () => {
  const property = fc.asyncProperty(conversation, async (given) => {
    expect(await playConversation(given)).toEqual([]);
  });
  await fc.assert(property, { numRuns: 15, seed: 7 });
});
