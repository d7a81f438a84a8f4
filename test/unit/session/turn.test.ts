/** The loop: what is stored when, what a cut stream leaves, how turns end. Fault tests are named for the fault. */
import { describe, expect, test } from "vitest";
import { ProviderError } from "../../../server/src/base/errors.ts";
import { TokenCounts } from "../../../server/src/model/tokens.ts";
import type { SessionEvent } from "../../../server/src/protocol/events.ts";
import type { CallId, ModelSpec, SessionId, ToolCallPart, TurnId } from "../../../server/src/protocol/types.ts";
import { createSession } from "../../../server/src/session/session.ts";
import { runTurn, type TurnDeps } from "../../../server/src/session/turn.ts";
import { createMemoryStore } from "../../../server/src/storage/memory.ts";
import type { SessionStore } from "../../../server/src/storage/store.ts";
import { started } from "../../support/events.ts";
import {
  callBlock,
  createScriptedProvider,
  done,
  type ScriptedStep,
  textBlock,
} from "../../support/scriptedProvider.ts";

const model: ModelSpec = {
  id: "test/model",
  label: "Test",
  api: "anthropic-messages",
  wireId: "test",
  contextTokens: 100_000,
  maxOutputTokens: 1_000,
  images: false,
  thinking: "none",
};

const cut = new ProviderError("The connection was cut.", { kind: "network" });

/** Plays one turn and gives its end, the stored events and what was submitted. */
async function play(
  steps: readonly ScriptedStep[],
  options: {
    maxSteps?: number;
    store?: SessionStore;
    controller?: AbortController;
    fallbacks?: TurnDeps["fallbacks"];
  } = {},
) {
  const controller = options.controller ?? new AbortController();
  const store = options.store ?? createMemoryStore({ clock: { now: () => 1 } });
  const events: SessionEvent[] = [];
  const session = await createSession(
    { store, onUpdate: (_, update) => "seq" in update && events.push(update) },
    "s1" as SessionId,
    "/w",
  );
  await session.append(started("t1", "do it"));
  const submitted: { readonly call: ToolCallPart; readonly storedBefore: boolean }[] = [];
  const provider = createScriptedProvider(steps);
  const end = await runTurn(
    {
      session,
      model: { spec: model, provider, costOf: () => undefined },
      ...(options.fallbacks ? { fallbacks: options.fallbacks } : {}),
      tools: [],
      tokens: new TokenCounts(),
      clock: { now: () => 1, sleep: async () => undefined },
      maxSteps: options.maxSteps ?? 10,
      createScheduler: () => {
        const running: Promise<void>[] = [];
        return {
          submit: (call) => {
            const storedBefore = events.some(
              (event) =>
                event.type === "assistant_block" &&
                event.block.part.type === "tool_call" &&
                event.block.part.callId === call.callId,
            );
            submitted.push({ call, storedBefore });
            running.push(
              session.append({
                type: "tool_result",
                callId: call.callId,
                text: `result of ${call.callId}`,
                isError: false,
                durationMs: 0,
              }),
            );
          },
          drain: async () => void (await Promise.all(running)),
        };
      },
    },
    "t1" as TurnId,
    controller.signal,
  );
  return { end, events, submitted, requests: provider.requests, types: events.map(({ type }) => type) };
}

describe("a turn", () => {
  test("goes on while tools are asked for, and appends to what was sent before", async () => {
    const { end, requests, submitted } = await play([
      {
        events: [
          ...textBlock(0, "Looking."),
          ...callBlock(1, "a", "read", {}),
          ...callBlock(2, "b", "read", {}),
          done("tool_calls"),
        ],
      },
      { events: [...textBlock(0, "Done."), done("end_turn")] },
    ]);
    expect(end).toEqual({ stopReason: "end_turn" });
    expect(submitted.map(({ call }) => call.callId)).toEqual(["a", "b"]);
    expect(requests[1]?.messages.slice(0, requests[0]?.messages.length)).toEqual(requests[0]?.messages);
    expect(requests[1]?.messages.at(-1)).toMatchObject({ role: "tool", results: [{ callId: "a" }, { callId: "b" }] });
  });

  test("stores a call before it runs", async () => {
    const { submitted } = await play([
      { events: [...callBlock(0, "a", "read", {}), done("tool_calls")] },
      { events: [...textBlock(0, "ok"), done("end_turn")] },
    ]);
    expect(submitted).toEqual([{ call: expect.objectContaining({ callId: "a" as CallId }), storedBefore: true }]);
  });

  test("asks again without a message when the vendor paused", async () => {
    const { end, requests } = await play([
      { events: [...textBlock(0, "part"), done("pause")] },
      { events: [...textBlock(0, "rest"), done("end_turn")] },
    ]);
    expect(end.stopReason).toBe("end_turn");
    expect(requests[1]?.messages.map(({ role }) => role)).toEqual(["user", "assistant"]);
  });

  test.each([
    ["max_tokens", "max_tokens", "max_tokens"],
    ["refusal", "refusal", "refusal"],
    ["context_overflow", "error", "contextOverflow"],
  ] as const)("ends on %s and says what to do", async (stop, stopReason, code) => {
    const { end } = await play([{ events: [...textBlock(0, "x"), done(stop)] }]);
    expect(end).toMatchObject({ stopReason, failure: { code } });
  });

  test("ends after its steps", async () => {
    const step = (id: string): ScriptedStep => ({ events: [...callBlock(0, id, "read", {}), done("tool_calls")] });
    const { end } = await play([step("a"), step("b")], { maxSteps: 2 });
    expect(end).toMatchObject({ stopReason: "max_turn_requests", failure: { code: "max_turn_requests" } });
  });
});

describe("a stream that dies", () => {
  test("before a call is asked again once, and what it had said is dropped", async () => {
    const { end, types, requests } = await play([
      { events: textBlock(0, "half"), throws: cut },
      { events: [...textBlock(0, "whole"), done("end_turn")] },
    ]);
    expect(end.stopReason).toBe("end_turn");
    expect(types.filter((type) => type === "step_restarted")).toHaveLength(1);
    expect(requests[1]?.messages).toEqual(requests[0]?.messages);
  });

  test("twice before a call ends the turn and keeps what was being written", async () => {
    const half: ScriptedStep = { events: [{ type: "text_delta", index: 0, text: "so far" }], throws: cut };
    const { end, requests } = await play([half, half]);
    expect(end).toEqual({
      stopReason: "error",
      failure: { code: "network", message: cut.message },
      unfinished: "so far",
    });
    expect(requests).toHaveLength(2);
  });

  test("after a call goes on from it and runs nothing twice", async () => {
    const { end, submitted, requests, types } = await play([
      { events: [...callBlock(0, "a", "read", {}), { type: "text_delta", index: 1, text: "and" }], throws: cut },
      { events: [...textBlock(0, "ok"), done("end_turn")] },
    ]);
    expect(end).toEqual({ stopReason: "end_turn" });
    expect(submitted).toHaveLength(1);
    expect(types).not.toContain("step_restarted");
    expect(requests[1]?.messages.at(-1)).toMatchObject({ role: "tool", results: [{ callId: "a" }] });
  });

  test("after calls three times in a row ends the turn", async () => {
    const step = (id: string): ScriptedStep => ({ events: callBlock(0, id, "read", {}), throws: cut });
    const { end, submitted } = await play([step("a"), step("b"), step("c")]);
    expect(end).toMatchObject({ stopReason: "error", failure: { code: "network" } });
    expect(submitted).toHaveLength(3);
  });

  test("at once, with a wrong key, is not asked again", async () => {
    const { end, requests } = await play([
      { events: [], throws: new ProviderError("The key is wrong.", { kind: "auth" }) },
    ]);
    expect(end).toEqual({ stopReason: "error", failure: { code: "auth", message: "The key is wrong." } });
    expect(requests).toHaveLength(1);
  });

  test("as something that cannot be read is asked again once, even before it said anything", async () => {
    const throws = new ProviderError("It cannot be read.", { kind: "protocol" });
    const { end, requests } = await play([
      { events: [], throws },
      { events: [], throws },
    ]);
    expect(end.failure?.code).toBe("protocol");
    expect(requests).toHaveLength(2);
  });

  test("on a fault of ours ends the turn and says so", async () => {
    const { end } = await play([{ events: [], throws: new TypeError("x is undefined") }]);
    expect(end).toMatchObject({ stopReason: "error", failure: { code: "bug" } });
  });
});

describe("a model that fails for good", () => {
  const overloaded = new ProviderError("It is overloaded.", { kind: "overloaded" });
  const other = (id: string, steps: readonly ScriptedStep[], changes: Partial<ModelSpec> = {}) => ({
    spec: { ...model, id, label: id.toUpperCase(), ...changes },
    provider: createScriptedProvider(steps),
    costOf: () => 0.5,
  });
  const answer: ScriptedStep = { events: [...textBlock(0, "done"), done("end_turn")] };

  test("is followed by the next, which goes on from the last finished step", async () => {
    const second = other("b", [answer], {
      api: "openai-chat",
      price: { input: 1, output: 1, cacheRead: 0, cacheWrite: 0 },
    });
    const { end, events, submitted } = await play(
      [
        { events: [...callBlock(0, "a", "edit", {}), done("tool_calls")] },
        { events: textBlock(0, "half"), throws: overloaded },
        { events: textBlock(0, "half"), throws: overloaded },
      ],
      { fallbacks: async () => [second] },
    );
    expect(end).toEqual({ stopReason: "end_turn" });
    expect(submitted).toHaveLength(1);
    expect(events.find(({ type }) => type === "model_changed")).toMatchObject({
      step: 2,
      from: "test/model",
      to: "b",
      label: "B",
      reason: "It is overloaded.",
      price: "unknown",
    });
    const [request] = second.provider.requests;
    expect(request?.model.id).toBe("b");
    expect(request?.messages.map(({ role }) => role)).toEqual(["user", "assistant", "tool"]);
    expect(JSON.stringify(request?.messages)).not.toContain("half");
    expect(events.findLast(({ type }) => type === "assistant_block")).toMatchObject({ api: "openai-chat" });
    expect(events.findLast(({ type }) => type === "step_finished")).toMatchObject({ cost: 0.5 });
  });

  test("when all have, ends the turn with the last one's failure, each asked once", async () => {
    const gone = new ProviderError("It is gone.", { kind: "notFound" });
    const chain = [other("b", [{ events: [], throws: overloaded }]), other("c", [{ events: [], throws: gone }])];
    let looked = 0;
    const { end, types } = await play([{ events: [], throws: overloaded }], {
      fallbacks: async () => {
        looked += 1;
        return chain;
      },
    });
    expect(end).toMatchObject({ stopReason: "error", failure: { code: "notFound", message: "It is gone." } });
    expect(types.filter((type) => type === "model_changed")).toHaveLength(2);
    expect(looked).toBe(1);
  });

  test.each(["auth", "billing", "unavailable", "rateLimit", "network", "protocol"] as const)(
    "with %s: the next one goes on",
    async (kind) => {
      const throws = new ProviderError("It failed.", { kind });
      const { end } = await play(
        [
          { events: [], throws },
          { events: [], throws },
        ],
        {
          fallbacks: async () => [other("b", [answer])],
        },
      );
      expect(end.stopReason).toBe("end_turn");
    },
  );

  test("because the request is wrong: no other is asked", async () => {
    const throws = new ProviderError("It is wrong.", { kind: "badRequest" });
    const { end } = await play([{ events: [], throws }], { fallbacks: async () => [other("b", [])] });
    expect(end.failure?.code).toBe("badRequest");
  });

  test("because the conversation is too long: one with a larger window goes on", async () => {
    const throws = new ProviderError("It is too long.", { kind: "contextOverflow" });
    const large = other("large", [answer], { contextTokens: 1_000_000 });
    const { end } = await play([{ events: [], throws }], { fallbacks: async () => [other("small", []), large] });
    expect(end.stopReason).toBe("end_turn");
    expect(large.provider.requests).toHaveLength(1);
  });

  test("after calls whose answers were cut keeps what they did", async () => {
    const step = (id: string): ScriptedStep => ({ events: callBlock(0, id, "edit", {}), throws: cut });
    const second = other("b", [answer]);
    const { end, submitted } = await play([step("a"), step("b"), step("c")], { fallbacks: async () => [second] });
    expect(end.stopReason).toBe("end_turn");
    expect(submitted).toHaveLength(3);
    expect(second.provider.requests[0]?.messages.filter(({ role }) => role === "tool")).toHaveLength(3);
  });
});

describe("cancelling", () => {
  test("while the model talks ends with cancelled and keeps what was being written", async () => {
    const controller = new AbortController();
    const { end } = await play(
      [{ events: [{ type: "text_delta", index: 0, text: "half a" }], gate: async () => controller.abort() }],
      { controller },
    );
    expect(end).toEqual({ stopReason: "cancelled", unfinished: "half a" });
  });

  test("between steps sends no further request", async () => {
    const controller = new AbortController();
    const { end, requests } = await play(
      [
        { events: [...callBlock(0, "a", "read", {}), done("tool_calls")], gate: async () => undefined },
        { events: [] },
      ].map((step, index) => (index === 0 ? { ...step, gate: async () => controller.abort() } : step)),
      { controller },
    );
    expect(end.stopReason).toBe("cancelled");
    expect(requests).toHaveLength(1);
  });
});

test("a full disk: the turn rejects and shows nothing that is not stored", async () => {
  const inner = createMemoryStore({ clock: { now: () => 1 } });
  const full: SessionStore = {
    ...inner,
    append: async (id, seq, bodies) => {
      if (bodies.some(({ type }) => type === "assistant_block")) throw new Error("no space left on device");
      return inner.append(id, seq, bodies);
    },
  };
  await expect(play([{ events: [...textBlock(0, "hello"), done("end_turn")] }], { store: full })).rejects.toThrow(
    "no space left",
  );
  expect((await inner.read("s1" as SessionId)).events.map(({ type }) => type)).toEqual([
    "session_created",
    "turn_started",
    "step_started",
  ]);
});
