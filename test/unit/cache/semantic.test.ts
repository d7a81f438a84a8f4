/**
 * The semantic cache on pairs of questions: no wrong answer may be given, however alike the embedder finds everything.
 * What share of true paraphrases is answered is printed as found, not asserted: it is what safety leaves.
 */
import { describe, expect, test } from "vitest";
import { AnswerCache } from "../../../server/src/cache/answerCache.ts";
import { digestOf } from "../../../server/src/cache/identity.ts";
import { isQuestion, meaningOf } from "../../../server/src/cache/meaning.ts";
import type { Embedder } from "../../../server/src/model/embedder.ts";
import { memoryCacheFiles } from "../../support/cacheFiles.ts";
import { hardPairs, morePairs, type QuestionPair } from "../../support/questionPairs.ts";

/** Finds any two texts the same, so that nothing but the words decides. */
const blindEmbedder: Embedder = { id: "blind", embed: async () => Float32Array.of(1, 0) };

/** Counts three-letter pieces: cheap, and about as good as real ones at telling "enable" from "disable". */
const trigramEmbedder: Embedder = {
  id: "trigrams",
  embed: async (text) => {
    const vector = new Float32Array(512);
    const padded = `  ${text.toLowerCase()} `;
    for (let at = 0; at + 3 <= padded.length; at++) {
      const slot = [0, 1, 2].reduce((sum, next) => sum * 31 + padded.charCodeAt(at + next), 7) % vector.length;
      vector[slot] = (vector[slot] ?? 0) + 1;
    }
    return vector;
  },
};

const signal = new AbortController().signal;

function createCache(embedder: Embedder, threshold: number): AnswerCache {
  return new AnswerCache({
    files: memoryCacheFiles(),
    policy: () => ({ type: "semantic", ttlMs: 1000, maxEntries: 5000, threshold, chat: true }),
    embedder: () => embedder,
    now: () => 1,
  });
}

/** `salt` makes it another request with the same words, so that nothing but the words can find it. */
function requestOf(question: string, salt = "") {
  const identity = { key: digestOf(salt + question), scope: digestOf("scope"), question, hasPictures: false };
  return { identity, root: "/w", model: "m", fresh: false, holds: async () => true };
}

async function keep(cache: AnswerCache, question: string): Promise<void> {
  const claim = await cache.claim({ ...requestOf(question), fresh: true }, signal);
  if (claim.type === "hit") throw new Error("a fresh request is never answered");
  await claim.keep(`answer to: ${question}`, []);
  claim.release();
}

/** The earlier question whose answer is given to this one, or the near one that is only shown. */
async function ask(cache: AnswerCache, question: string): Promise<{ served?: string; near?: string }> {
  const claim = await cache.claim(requestOf(question, "again "), signal);
  if (claim.type === "hit") return { served: claim.answer.question };
  claim.release();
  return claim.near ? { near: claim.near.question } : {};
}

async function servedOf(pairs: readonly QuestionPair[], embedder: Embedder, threshold: number) {
  const served: QuestionPair[] = [];
  for (const [first, second] of pairs) {
    for (const [kept, asked] of [
      [first, second],
      [second, first],
    ] as const) {
      const cache = createCache(embedder, threshold);
      await keep(cache, kept);
      if ((await ask(cache, asked)).served !== undefined) served.push([kept, asked]);
    }
  }
  return served;
}

const same = [...hardPairs.same, ...morePairs.same];
const traps = [...hardPairs.traps, ...morePairs.traps];
const embedders = [
  ["an embedder that finds everything alike", blindEmbedder, [0.95]],
  ["trigrams", trigramEmbedder, [0.8, 0.85, 0.95]],
] as const;

test("there are 24 hard pairs and 100 more, all different", () => {
  expect(hardPairs.same.length + hardPairs.traps.length).toBe(24);
  expect(morePairs.same.length + morePairs.traps.length).toBe(100);
  const texts = [...same, ...traps].map((pair) => JSON.stringify(pair));
  expect(new Set(texts).size).toBe(124);
});

describe.each(embedders)("with %s", (name, embedder, thresholds) => {
  test.each(thresholds)("no trap is answered at %d; the share of paraphrases is told", async (threshold) => {
    const wrong = await servedOf(traps, embedder, threshold);
    const right = await servedOf(same, embedder, threshold);
    const near = await Promise.all(
      traps.map(async ([first, second]) => {
        const cache = createCache(embedder, threshold);
        await keep(cache, first);
        return (await ask(cache, second)).near !== undefined;
      }),
    );
    process.stdout.write(
      `semantic cache, ${name}, threshold ${threshold}: ${right.length} of ${2 * same.length} paraphrases answered, ` +
        `${wrong.length} of ${2 * traps.length} traps; by nearness alone ${near.filter(Boolean).length} of ${traps.length} traps\n`,
    );
    expect(wrong).toEqual([]);
    // The traps are ones: whoever goes by nearness alone falls into some.
    expect(near).toContain(true);
  });
});

test("with every question kept at once, each is answered only by itself or by what asks the same", async () => {
  const cache = createCache(blindEmbedder, 0);
  const group = new Map<string, Set<string>>();
  for (const [first, second] of same) {
    const both = new Set([...(group.get(first) ?? []), ...(group.get(second) ?? []), first, second]);
    for (const question of both) group.set(question, both);
  }
  const all = [...new Set([...same, ...traps].flat())].filter(isQuestion);
  for (const question of all) await keep(cache, question);
  const wrong = await Promise.all(
    all.map(async (question) => {
      const { served } = await ask(cache, question);
      return served === question || (served && group.get(question)?.has(served)) ? [] : [[question, served]];
    }),
  );
  // Each is answered, because its own words are kept; and by nothing else.
  expect(wrong.flat()).toEqual([]);
});

test("one more word that is not empty always makes another question", () => {
  const words = [
    "the",
    "The",
    "not",
    "no",
    "never",
    "a",
    "foo",
    "Foo",
    "3",
    "./x",
    '"x"',
    "-",
    "before",
    "two",
    "of",
    "不",
    "没有",
  ];
  const wrong = [...new Set([...same, ...traps].flat())].flatMap((question) => {
    const pieces = question.split(" ");
    return words.flatMap((word) =>
      pieces.flatMap((_, at) => {
        const longer = pieces.toSpliced(at + 1, 0, word).join(" ");
        return meaningOf(longer) === meaningOf(question) ? [longer] : [];
      }),
    );
  });
  expect(wrong).toEqual([]);
});

test("what asks for work is no question", () => {
  const orders = [
    "Fix the failing test",
    "Add a test for parse",
    "Can you fix parse()?",
    "Run the tests",
    "帮我修复测试",
  ];
  expect(orders.filter(isQuestion)).toEqual([]);
  expect(["What is it", "Can you tell me how it works", "Is it so?", "解释一下重试逻辑"].every(isQuestion)).toBe(true);
});
