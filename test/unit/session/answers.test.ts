/** Turns that the cache of answers takes part in: what is kept of them, and that it never gets in their way. */
import { expect, test } from "vitest";
import { deferred } from "../../../server/src/base/async.ts";
import { AnswerCache } from "../../../server/src/cache/answerCache.ts";
import { TokenCounts } from "../../../server/src/model/tokens.ts";
import type { ModelSpec, SessionId, TurnId } from "../../../server/src/protocol/types.ts";
import { runAnswered } from "../../../server/src/session/answers.ts";
import { createSession, type Session } from "../../../server/src/session/session.ts";
import { createMemoryStore } from "../../../server/src/storage/memory.ts";
import { createRegistry } from "../../../server/src/tools/registry.ts";
import { memoryCacheFiles } from "../../support/cacheFiles.ts";
import { compacted, started } from "../../support/events.ts";
import { createMemoryWorkspace } from "../../support/memoryWorkspace.ts";
import {
  callBlock,
  createScriptedProvider,
  done,
  type ScriptedStep,
  textBlock,
} from "../../support/scriptedProvider.ts";

const spec: ModelSpec = {
  id: "test/model",
  label: "Test",
  api: "anthropic-messages",
  wireId: "test",
  contextTokens: 100_000,
  maxOutputTokens: 1_000,
  images: false,
  thinking: "none",
};

function createCache(files = memoryCacheFiles()): AnswerCache {
  return new AnswerCache({
    files,
    policy: () => ({ type: "exact", ttlMs: 1_000, maxEntries: 10, threshold: 1, chat: true }),
    embedder: () => undefined,
    now: () => 1,
  });
}

/** Asks "Why?" in a new session; the text of the answer, and whether the model was asked. */
async function ask(
  cache: AnswerCache,
  steps: readonly ScriptedStep[],
  model = spec,
  makeRoom?: (session: Session) => Promise<boolean>,
) {
  const texts: string[] = [];
  const session = await createSession(
    {
      store: createMemoryStore({ clock: { now: () => 1 } }),
      onUpdate: (_, update) => {
        if (update.type === "assistant_block" && update.block.part.type === "text") texts.push(update.block.part.text);
      },
    },
    "s1" as SessionId,
    "/w",
  );
  await session.append(started("t1", "Why?"));
  const provider = createScriptedProvider(steps);
  const end = await runAnswered(
    {
      session,
      model: { spec: model, provider, costOf: () => undefined },
      tools: [],
      createScheduler: () => ({
        submit: ({ callId }) =>
          void session.append({ type: "tool_result", callId, text: "done", isError: false, durationMs: 0 }),
        drain: () => session.idle(),
      }),
      ...(makeRoom ? { makeRoom: () => makeRoom(session) } : {}),
      tokens: new TokenCounts(),
      clock: { now: () => 1, sleep: async () => undefined },
      maxSteps: 5,
    },
    {
      cache,
      workspace: createMemoryWorkspace(),
      createRegistry: () => createRegistry([]),
      permissions: { rules: () => [] },
      trusted: () => true,
      servers: () => [],
      kindOf: () => "execute",
    },
    { prompt: [{ type: "text", text: "Why?" }] },
    "t1" as TurnId,
    new AbortController().signal,
  );
  return { end: end.stopReason, texts, asked: provider.requests.length };
}

const says = (text: string, stop: "end_turn" | "pause" | "max_tokens" = "end_turn"): ScriptedStep => ({
  events: [...textBlock(0, text), done(stop)],
});

test("an answer in several messages is kept whole", async () => {
  const cache = createCache();
  await ask(cache, [says("One,", "pause"), says("two.")]);
  expect(await ask(cache, [])).toEqual({ end: "end_turn", texts: ["One,\n\ntwo."], asked: 0 });
});

test("an answer that is not whole is not kept", async () => {
  const cache = createCache();
  await ask(cache, [says("One,", "max_tokens")]);
  expect((await ask(cache, [says("Whole.")])).texts).toEqual(["Whole."]);
});

test("an answer whose turn was compacted is not kept: what it rests on is not all there", async () => {
  const cache = createCache();
  const makeRoom = async (session: Session) => {
    if (session.state.open) await session.append({ ...compacted(), turnId: "t1" as TurnId });
    return session.state.compactions.length > 0;
  };
  await ask(cache, [says("One,", "pause"), says("two.")], spec, makeRoom);
  expect((await ask(cache, [says("Whole.")])).texts).toEqual(["Whole."]);
});

test("a recording is neither kept nor replaced", async () => {
  const cache = createCache();
  const recorded = { ...spec, api: "recorded" } as const;
  await ask(cache, [says("Played.")], recorded);
  expect((await ask(cache, [says("Played again.")], recorded)).asked).toBe(1);
});

test("a cache that fails costs nothing but the cache", async () => {
  const files = {
    ...memoryCacheFiles(),
    read: () => Promise.reject(new Error("disk")),
    write: () => Promise.reject(new Error("disk")),
  };
  expect(await ask(createCache(files), [says("Because.")])).toEqual({ end: "end_turn", texts: ["Because."], asked: 1 });
});

test("an equal question waits no longer once the first has begun to do something", async () => {
  const cache = createCache();
  const submitted = deferred<void>();
  const finish = deferred<void>();
  const working: ScriptedStep = {
    events: [...callBlock(0, "c1", "shell", {}), done("tool_calls")],
    gate: () => {
      submitted.resolve();
      return finish.promise;
    },
  };
  const first = ask(cache, [working, says("Done.")]);
  await submitted.promise;
  expect((await ask(cache, [says("Because.")])).texts).toEqual(["Because."]);
  finish.resolve();
  expect((await first).texts).toEqual(["Done."]);
});
