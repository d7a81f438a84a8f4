/** A recording plays its own conversation, and says what it is in every other case. */
import { describe, expect, test } from "vitest";
import { isAbort } from "../../../server/src/base/errors.ts";
import type { ModelEvent, ModelMessage } from "../../../server/src/model/provider.ts";
import { createRecordedProvider, withRecording } from "../../../server/src/model/recorded.ts";
import { parseRecording } from "../../../server/src/model/recording.ts";
import { noUsage } from "../../../server/src/model/usage.ts";
import type { AssistantBlock, AssistantPart } from "../../../server/src/protocol/types.ts";
import { callId, collect, fakeClock, modelRequest, noAbort, scripted, userMessage } from "./support.ts";

const prompt = "Fix the failing test";
const call = (id: string, name: string): AssistantPart => ({
  type: "tool_call",
  callId: callId(id),
  name,
  input: { path: "a b" },
});
const text = (value: string): AssistantPart => ({ type: "text", text: value });
const block = (part: AssistantPart): AssistantBlock => ({ part, wire: { secret: "encrypted" } });

const firstAnswer: ModelEvent[] = [
  { type: "retry", attempt: 1, untilAt: 5, reason: "busy" },
  { type: "thinking_delta", index: 0, text: "Let me see." },
  { type: "block_done", index: 0, block: block({ type: "thinking", text: "Let me see." }) },
  { type: "text_delta", index: 1, text: "I wi" },
  { type: "text_delta", index: 1, text: "ll look\nfirst." },
  { type: "block_done", index: 1, block: block(text("I will look\nfirst.")) },
  { type: "block_done", index: 2, block: block({ type: "opaque" }) },
  { type: "tool_call_delta", index: 3, callId: callId("toolu_1"), name: "read", json: "" },
  { type: "tool_call_delta", index: 3, callId: callId("toolu_1"), name: "read", json: '{"path":"a b"}' },
  { type: "block_done", index: 3, block: block(call("toolu_1", "read")) },
  { type: "block_done", index: 4, block: block(call("toolu_2", "shell")) },
  { type: "done", stop: "tool_calls", usage: { ...noUsage, inputTokens: 7 } },
];
const lastAnswer: ModelEvent[] = [
  { type: "text_delta", index: 0, text: "Fixed." },
  { type: "block_done", index: 0, block: block(text("Fixed.")) },
  { type: "done", stop: "end_turn", usage: noUsage },
];

/** The conversation up to the second request; the results end as given. */
function afterFirst(readFails: boolean, shellFails: boolean, ask = prompt): ModelMessage[] {
  return [
    { role: "user", parts: [{ type: "text", text: ask }, text("Today is Monday.") as { type: "text"; text: string }] },
    {
      role: "assistant",
      api: "recorded",
      blocks: [{ part: call("a", "read") }, { part: call("b", "shell") }],
    },
    {
      role: "tool",
      results: [
        { callId: callId("a"), text: "text", isError: readFails },
        { callId: callId("b"), text: "1 failing", isError: shellFails },
      ],
    },
  ];
}

async function record(): Promise<string> {
  const lines: string[] = [];
  const clock = fakeClock();
  const provider = withRecording({ sink: (line) => lines.push(line), clock })(scripted(firstAnswer, lastAnswer));
  const heard = await collect(provider.stream(modelRequest({ messages: [userMessage(prompt)] }), noAbort()));
  expect(heard).toEqual(firstAnswer);
  await collect(provider.stream(modelRequest({ messages: afterFirst(false, true) }), noAbort()));
  return lines.join("\n");
}

async function play(messages: ModelMessage[], clock = fakeClock(), speed = Infinity): Promise<ModelEvent[]> {
  const provider = createRecordedProvider(parseRecording(await record()), { clock, speed });
  return collect(provider.stream(modelRequest({ messages }), noAbort()));
}

const textOf = (events: ModelEvent[]) =>
  events.map((event) => (event.type === "text_delta" ? event.text : "")).join("");

describe("recording", () => {
  test("leaves out vendors' own forms, blocks that only they know, and retries", async () => {
    const file = await record();
    expect(file).not.toMatch(/encrypted|opaque|retry/);
    expect(parseRecording(file)).toMatchObject({
      prompt,
      model: "test/model",
      steps: [
        { outcomes: [] },
        {
          outcomes: [
            { tool: "read", isError: false },
            { tool: "shell", isError: true },
          ],
        },
      ],
    });
  });

  test.each([
    { name: "nothing", lines: [""], says: "Line 1 of the recording is not JSON" },
    { name: "another version", lines: ['{"type":"recording","version":2,"model":"m","prompt":"p"}'], says: "Line 1" },
    {
      name: "a step that is cut",
      lines: ['{"type":"recording","version":1,"model":"m","prompt":"p"}', '{"type":"step","outcomes":[]}'],
      says: "Step 1 of the recording does not end",
    },
    {
      name: "a line of something else",
      lines: ['{"type":"recording","version":1,"model":"m","prompt":"p"}', '{"type":"event"}'],
      says: "Line 2",
    },
  ])("refuses $name", ({ lines, says }) => {
    expect(() => parseRecording(lines.join("\n"))).toThrow(says);
  });
});

describe("playing", () => {
  test("gives the recorded parts in small pieces, calls under new ids, and no wire forms", async () => {
    const events = await play([userMessage("  fix the\nfailing TEST. ")]);
    expect(textOf(events)).toBe("I will look\nfirst.");
    expect(events.flatMap((event) => (event.type === "text_delta" ? [event.text] : []))).toEqual([
      "I ",
      "will ",
      "look\n",
      "first.",
    ]);
    expect(events.flatMap((event) => (event.type === "block_done" ? [event.block] : []))).toEqual([
      { part: { type: "thinking", text: "Let me see." } },
      { part: text("I will look\nfirst.") },
      { part: call("recorded_1_3", "read") },
      { part: call("recorded_1_4", "shell") },
    ]);
    const json = events.map((event) => (event.type === "tool_call_delta" ? event.json : "")).join("");
    expect(json).toBe('{"path":"a b"}');
    expect(events.at(-1), "playing uses no tokens").toEqual({ type: "done", stop: "tool_calls", usage: noUsage });
  });

  test("goes on while the tools end as they did", async () => {
    expect(textOf(await play(afterFirst(false, true)))).toBe("Fixed.");
  });

  test.each([
    {
      name: "another prompt",
      messages: [userMessage("Write a game")],
      says: "it can only play “Fix the failing test”",
    },
    { name: "a tool that fails now", messages: afterFirst(true, true), says: "“read” succeeded when it was recorded" },
    { name: "a tool that works now", messages: afterFirst(false, false), says: "“shell” failed when it was recorded" },
    {
      name: "other calls",
      messages: [...afterFirst(false, true).slice(0, 2), { role: "tool" as const, results: [] }],
      says: "the calls before this point are not the recorded ones",
    },
    {
      name: "a step too many",
      messages: [...afterFirst(false, true), { role: "assistant" as const, api: "recorded" as const, blocks: [] }],
      says: "The recording has ended",
    },
  ])("is honest about $name", async ({ messages, says }) => {
    const events = await play(messages);
    expect(textOf(events)).toContain(says);
    expect(textOf(events)).toContain("recording");
    expect(textOf(events)).toContain("Hermes: Set API Key");
    expect(events.at(-1)).toEqual({ type: "done", stop: "end_turn", usage: noUsage });
  });

  test("a new prompt in the same session starts from the beginning, with ids of its own", async () => {
    const events = await play([...afterFirst(false, true), userMessage(prompt)]);
    expect(events).toContainEqual({
      type: "block_done",
      index: 3,
      block: { part: call("recorded_4_3", "read") },
    });
  });

  test("waits between pieces, faster at a higher speed", async () => {
    const sum = async (speed: number) => {
      const clock = fakeClock();
      await play([userMessage(prompt)], clock, speed);
      return clock.slept.reduce((total, ms) => total + ms, 0);
    };
    expect(await sum(1)).toBeGreaterThan(500);
    expect(await sum(4)).toBeCloseTo((await sum(1)) / 4, 5);
    expect(await sum(Infinity)).toBe(0);
  });

  test("an abort ends it between two words", async () => {
    const controller = new AbortController();
    const provider = createRecordedProvider(parseRecording(await record()), { clock: fakeClock(), speed: 1 });
    const events: ModelEvent[] = [];
    const run = async () => {
      for await (const event of provider.stream(modelRequest({ messages: [userMessage(prompt)] }), controller.signal)) {
        events.push(event);
        controller.abort("stop");
      }
    };
    await expect(run()).rejects.toSatisfy(isAbort);
    expect(events).toHaveLength(1);
  });
});
