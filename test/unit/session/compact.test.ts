/** By rule, a compaction always fits: random conversations in random windows, with a provider that gives nothing. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { ProviderError } from "../../../server/src/base/errors.ts";
import { TokenCounts } from "../../../server/src/model/tokens.ts";
import type { SessionEventBody } from "../../../server/src/protocol/events.ts";
import type { CallId, ModelSpec, SessionId, TurnId } from "../../../server/src/protocol/types.ts";
import { compact } from "../../../server/src/session/compact.ts";
import { buildRequest } from "../../../server/src/session/context.ts";
import { messagesOf } from "../../../server/src/session/reduce.ts";
import { createSession } from "../../../server/src/session/session.ts";
import { createMemoryStore } from "../../../server/src/storage/memory.ts";
import { says, started } from "../../support/events.ts";

const words = fc.string({ unit: fc.constantFrom("word ", "ß", "漢字", "\n", "🙂", "x"), maxLength: 400 });
const turns = fc.array(
  fc.record({
    prompt: words,
    steps: fc.array(fc.record({ text: words, result: fc.tuple(words, fc.nat(30)) }), { maxLength: 6 }),
  }),
  { minLength: 2, maxLength: 8 },
);

function eventsOf(list: Parameters<typeof toTurn>[0][]): readonly SessionEventBody[] {
  return list.flatMap(toTurn);
}

function toTurn(
  turn: { prompt: string; steps: { text: string; result: [string, number] }[] },
  at: number,
): readonly SessionEventBody[] {
  const id = `t${at}`;
  const steps = turn.steps.flatMap(({ text, result: [result, times] }, step): readonly SessionEventBody[] => {
    const callId = `${id}.${step}` as CallId;
    const part = { type: "tool_call", callId, name: "read", input: { path: "a" } } as const;
    const head = { turnId: id as TurnId, step, api: "openai-chat" } as const;
    return [
      { type: "step_started", turnId: id as TurnId, step },
      says(id, step, 0, text),
      { type: "assistant_block", ...head, index: 1, block: { part } },
      { type: "tool_result", callId, text: result.repeat(times), isError: false, durationMs: 0 },
    ];
  });
  return [started(id, turn.prompt), ...steps, { type: "turn_finished", turnId: id as TurnId, stopReason: "end_turn" }];
}

/** Nobody answers. */
const provider = {
  // biome-ignore lint/correctness/useYield: a provider that fails yields nothing.
  async *stream() {
    throw new ProviderError("no", { kind: "server" });
  },
};

test("the next request fits the window, whatever was said, and calls keep their results", async () => {
  await fc.assert(
    fc.asyncProperty(turns, fc.integer({ min: 2_000, max: 64_000 }), async (list, contextTokens) => {
      const spec: ModelSpec = {
        id: "test/model",
        label: "Test",
        api: "openai-chat",
        wireId: "test",
        contextTokens,
        maxOutputTokens: 4_000,
        images: false,
        thinking: "none",
      };
      const store = createMemoryStore({ clock: { now: () => 1 } });
      const session = await createSession({ store, onUpdate: () => undefined }, "s1" as SessionId, "/w");
      await session.append(...eventsOf(list));
      const tokens = new TokenCounts();
      const account = { sessionId: session.id, turnId: "t" as TurnId, purpose: "turn" } as const;
      const sizeNow = () => tokens.ofPrompt(buildRequest(session.state, spec, [], account)).tokens;
      const before = sizeNow();
      const deps = {
        session,
        tools: [],
        clock: { now: () => 1, sleep: () => new Promise<void>(() => undefined) },
        createId: () => "k1",
        policy: { strategy: "auto", maxSteps: 0, pruneSimilar: true } as const,
        tokens,
      };
      const model = { spec, provider, costOf: () => undefined };
      const done = await compact(deps, model, { reason: "overflow" }, new AbortController().signal);
      // Nothing is done only where nothing would have been gained.
      if (!done) expect(before).toBeLessThan(400);
      else {
        expect(sizeNow()).toBeLessThan(before);
        expect(sizeNow()).toBeLessThanOrEqual(contextTokens);
        expect(messagesOf(session.state).map(({ role }) => role)).toEqual(["user"]);
      }
    }),
    { numRuns: 150, seed: 20_261_121 },
  );
});
