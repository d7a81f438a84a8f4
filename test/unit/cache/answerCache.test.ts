/** The cache of answers: when one is given again, when not, and what equal requests do at the same time. */
import { describe, expect, test } from "vitest";
import { AnswerCache, type AnswerRequest, type CachePolicy } from "../../../server/src/cache/answerCache.ts";
import { digestOf } from "../../../server/src/cache/identity.ts";
import type { Embedder } from "../../../server/src/model/embedder.ts";
import { memoryCacheFiles } from "../../support/cacheFiles.ts";

const signal = new AbortController().signal;
const defaults: CachePolicy = { type: "exact", ttlMs: 3_600_000, maxEntries: 500, threshold: 0.95, chat: true };

function createWorld(changes: Partial<CachePolicy> = {}, embedder?: Embedder) {
  const world = { now: 1_000, texts: new Map<string, string>() };
  const open = () =>
    new AnswerCache({
      files: memoryCacheFiles(world.texts),
      policy: () => ({ ...defaults, ...changes }),
      embedder: () => embedder,
      now: () => world.now,
    });
  return { world, open };
}

function requestOf(question: string, changes: Partial<AnswerRequest> = {}): AnswerRequest {
  const identity = { key: digestOf(question), scope: digestOf("scope"), question, hasPictures: false };
  return { identity, root: "/w", model: "m", fresh: false, holds: async () => true, ...changes };
}

/** Asks; a miss is answered with `answer`, or with nothing that is kept. */
async function ask(cache: AnswerCache, request: AnswerRequest, answer?: string): Promise<string> {
  const claim = await cache.claim(request, signal);
  if (claim.type === "hit") return `${claim.match}: ${claim.answer.answer}`;
  if (answer !== undefined) await claim.keep(answer, []);
  claim.release();
  return claim.near ? `near${claim.near.hasChanged ? ", changed" : ""}: ${claim.near.question}` : "miss";
}

test("an answer is given again, also after a restart, and counts its hits", async () => {
  const { world, open } = createWorld();
  const cache = open();
  expect(await ask(cache, requestOf("q"), "a")).toBe("miss");
  expect(await ask(cache, requestOf("q"))).toBe("exact: a");
  expect(await ask(open(), requestOf("q"))).toBe("exact: a");
  expect(JSON.parse([...world.texts.values()][0] ?? "")).toMatchObject({ hits: 2, answeredAt: 1_000 });
});

test("it is given for as long as the settings say, and not when the clock went back", async () => {
  const { world, open } = createWorld();
  const cache = open();
  await ask(cache, requestOf("q"), "a");
  world.now += 3_599_000;
  expect(await ask(cache, requestOf("q"))).toBe("exact: a");
  world.now += 2_000;
  expect(await ask(cache, requestOf("q"))).toBe("miss");
  world.now = 0;
  expect(await ask(cache, requestOf("q"))).toBe("miss");
});

test("not when what it rests on has changed, and not in another folder", async () => {
  const { open } = createWorld();
  const cache = open();
  await ask(cache, requestOf("q"), "a");
  expect(await ask(cache, requestOf("q", { holds: async () => false }))).toBe("miss");
  expect(await ask(cache, requestOf("q", { root: "/elsewhere" }))).toBe("miss");
});

test("asking again forgets it and keeps the new answer", async () => {
  const { world, open } = createWorld();
  const cache = open();
  await ask(cache, requestOf("q"), "old");
  expect(await ask(cache, requestOf("q", { fresh: true }))).toBe("miss");
  expect(world.texts.size).toBe(0);
  await ask(cache, requestOf("q", { fresh: true }), "new");
  expect(await ask(cache, requestOf("q"))).toBe("exact: new");
});

test.each([
  ["is cut", (text: string) => text.slice(0, -3)],
  ["lacks its answer", (text: string) => text.replace('"answer":"a"', '"answer":""')],
  ["has another's name", (text: string) => text.replaceAll(digestOf("q"), digestOf("other"))],
])("a file that %s is no answer", async (_, damage) => {
  const { world, open } = createWorld();
  await ask(open(), requestOf("q"), "a");
  for (const [key, text] of world.texts) world.texts.set(key, damage(text));
  const cache = new AnswerCache({
    files: {
      ...memoryCacheFiles(world.texts),
      read: async (key) => {
        try {
          return JSON.parse(world.texts.get(key) ?? "");
        } catch {
          return undefined;
        }
      },
    },
    policy: () => defaults,
    embedder: () => undefined,
    now: () => world.now,
  });
  expect(await ask(cache, requestOf("q"))).toBe("miss");
});

test("memory holds no more than the settings say", async () => {
  const { world, open } = createWorld({ maxEntries: 3 });
  const cache = open();
  for (const question of ["1", "2", "3", "4"]) await ask(cache, requestOf(question), "a");
  world.texts.clear();
  expect(await ask(cache, requestOf("1"))).toBe("miss");
  expect(await ask(cache, requestOf("4"))).toBe("exact: a");
});

describe("equal requests at the same time", () => {
  test("wait for one answer", async () => {
    const { open } = createWorld();
    const cache = open();
    let asked = 0;
    const answers = await Promise.all(
      Array.from({ length: 1_000 }, async () => {
        const claim = await cache.claim(requestOf("q"), signal);
        if (claim.type === "hit") return claim.answer.answer;
        asked += 1;
        await claim.keep("a", []);
        claim.release();
        return "a";
      }),
    );
    expect(asked).toBe(1);
    expect(new Set(answers)).toEqual(new Set(["a"]));
  });

  test("go on one by one when none is kept, and a cancelled one leaves", async () => {
    const { open } = createWorld();
    const cache = open();
    const first = await cache.claim(requestOf("q"), signal);
    const controller = new AbortController();
    const cancelled = cache.claim(requestOf("q"), controller.signal);
    const second = cache.claim(requestOf("q"), signal);
    controller.abort();
    await expect(cancelled).rejects.toThrow();
    if (first.type === "miss") first.release();
    expect((await second).type).toBe("miss");
  });

  test("are not held up by a check that fails", async () => {
    const { open } = createWorld();
    const cache = open();
    await ask(cache, requestOf("q"), "a");
    const broken = requestOf("q", { holds: () => Promise.reject(new Error("disk")) });
    await expect(cache.claim(broken, signal)).rejects.toThrow("disk");
    expect(await ask(cache, requestOf("q"))).toBe("exact: a");
  });
});

describe("a question in other words", () => {
  const alike: Embedder = { id: "alike", embed: async () => Float32Array.of(1) };
  const again = "Please tell me how it works";

  test("gets the answer where the words ask the same, after a restart as well", async () => {
    const { open } = createWorld({ type: "semantic" }, alike);
    await ask(open(), requestOf("How does it work?"), "a");
    expect(await ask(open(), requestOf(again))).toBe("similar: a");
  });

  test("gets a hint where they are only near, or what the answer rests on has changed", async () => {
    const { open } = createWorld({ type: "semantic" }, alike);
    const cache = open();
    await ask(cache, requestOf("How does it work?"), "a");
    expect(await ask(cache, requestOf("How does it break?"))).toBe("near: How does it work?");
    expect(await ask(cache, requestOf(again, { holds: async () => false }))).toBe("near, changed: How does it work?");
  });

  test.each<[string, Partial<CachePolicy>, Embedder | undefined]>([
    ["the type is exact", { type: "exact" }, alike],
    ["no embedder is configured", { type: "semantic" }, undefined],
    ["the embedder fails", { type: "semantic" }, { id: "alike", embed: () => Promise.reject(new Error("down")) }],
  ])("gets nothing when %s", async (_, policy, embedder) => {
    const kept = createWorld({ type: "semantic" }, alike);
    await ask(kept.open(), requestOf("How does it work?"), "a");
    const { world, open } = createWorld(policy, embedder);
    world.texts = kept.world.texts;
    expect(await ask(open(), requestOf(again))).toBe("miss");
    expect(await ask(open(), requestOf("How does it work?"))).toBe("exact: a");
  });

  test("gets nothing from another scope, folder, embedder, or beside a picture", async () => {
    const { world, open } = createWorld({ type: "semantic" }, alike);
    await ask(open(), requestOf("How does it work?"), "a");
    const { identity } = requestOf(again);
    const cache = open();
    expect(await ask(cache, requestOf(again, { identity: { ...identity, scope: digestOf("x") } }))).toBe("miss");
    expect(await ask(cache, requestOf(again, { identity: { ...identity, hasPictures: true } }))).toBe("miss");
    expect(await ask(cache, requestOf(again, { root: "/elsewhere" }))).toBe("miss");
    const other = createWorld({ type: "semantic" }, { ...alike, id: "other" });
    other.world.texts = world.texts;
    expect(await ask(other.open(), requestOf(again))).toBe("miss");
  });
});
