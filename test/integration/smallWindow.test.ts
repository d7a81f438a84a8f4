/**
 * Models with small windows on this machine: a whole task fits into 8,192 tokens, and a server that cuts prompts without a
 * word is found out.
 *
 * Not here: the arithmetic (`context.test.ts`, `tokens.test.ts`). Easily got wrong: the double reads four bytes as a token,
 * so what is too long for it is known to the byte.
 */
import { expect, test } from "vitest";
import type { SessionEvent } from "../../server/src/protocol/events.ts";
import { startLocal } from "../support/localModel.ts";
import type { Play } from "../support/play.ts";

const ofType = <Type extends SessionEvent["type"]>(play: Play, type: Type) =>
  play.events().filter((event): event is Extract<SessionEvent, { type: Type }> => event.type === type);

test("a whole task runs in a window of 8,192 tokens, its answers included", async () => {
  const filler = Array.from({ length: 4_000 }, (_, at) => `export const value${at} = compute(${at});`);
  await using play = await startLocal(8_192, {
    script: {
      steps: [
        { calls: [{ name: "search", input: { pattern: "value" } }] },
        { calls: [{ name: "read", input: { files: [{ path: "big.ts" }] } }] },
        { calls: [{ name: "edit", input: { path: "big.ts", old: "compute(7);", new: "compute(8);" } }] },
        { calls: [{ name: "shell", input: { command: "cat big.ts" } }] },
        { say: "Done." },
      ],
    },
    files: { "big.ts": `${filler.join("\n")}\n`, "AGENTS.md": "Use tabs.\n".repeat(1_000) },
    // Sent a longer prompt, the double refuses it, and the turn fails.
    double: { contextWindow: 8_192 },
  });
  const { stopReason, failure } = await play.prompt("Make value7 be computed from 8.");
  expect(failure).toBeUndefined();
  expect(stopReason).toBe("end_turn");
  expect(await play.read("big.ts")).toContain("value7 = compute(8);");
  for (const request of play.double.requests) {
    const { usage, json } = request;
    const prompt = (usage?.input ?? 0) + (usage?.cacheRead ?? 0);
    expect(prompt + Number(json?.max_tokens)).toBeLessThanOrEqual(8_192);
  }
  expect(ofType(play, "tool_result").map(({ isError }) => isError)).toEqual([false, false, false, false]);
  expect(ofType(play, "step_finished").at(-1)?.context?.window).toBe(8_192);
});

test("what does not fit is told and not sent", async () => {
  await using play = await startLocal(8_192, { script: { steps: [{ say: "Hello." }] } });
  const { sessionId } = await play.prompt("hello");
  const { stopReason, failure } = await play.prompt("x".repeat(40_000), { sessionId });
  expect({ stopReason, code: failure?.code }).toEqual({ stopReason: "error", code: "contextOverflow" });
  expect(failure?.message).toContain("Small takes 8,192");
  expect(play.double.requests).toHaveLength(1);
});

test("a server that cuts a prompt is found out, told of once, and sent no more than it takes", async () => {
  await using play = await startLocal(32_768, {
    script: { steps: [{ say: "Hello." }, { say: "What?" }], repeatLast: true },
    double: { cutAbove: 4_096 },
  });
  const { sessionId } = await play.prompt("hello");
  expect(ofType(play, "prompt_cut")).toEqual([]);
  await play.prompt(`Remember this: ${"word ".repeat(1_100)}`, { sessionId });
  expect(ofType(play, "prompt_cut")).toEqual([]);
  await play.prompt(`And this: ${"word ".repeat(1_100)}`, { sessionId });
  const [cut] = ofType(play, "prompt_cut");
  expect(cut).toMatchObject({ model: "local/small", contextTokens: 4_096 });
  expect(cut?.promptTokens).toBeLessThanOrEqual(4_096);
  const told = () => ofType(play, "notice").filter(({ message }) => message.includes("num_ctx"));
  expect(told().map(({ level }) => level)).toEqual(["warning"]);
  // The conversation is shortened to what the server takes, and so read whole.
  expect((await play.prompt("And now?", { sessionId })).stopReason).toBe("end_turn");
  expect(ofType(play, "compacted")).toMatchObject([{ model: "local/small" }]);
  expect(ofType(play, "prompt_cut")).toHaveLength(1);
  expect(told()).toHaveLength(1);
});

test("a prompt that grew by less than was added to it was cut, though most of it was read", async () => {
  await using play = await startLocal(32_768, {
    script: { steps: [{ say: "a" }, { say: "b" }, { say: "c" }, { say: "d" }], repeatLast: true },
    double: { cutAbove: 6_144 },
  });
  const { sessionId } = await play.prompt("word ".repeat(1_300));
  await play.prompt("word ".repeat(1_300), { sessionId });
  expect(ofType(play, "prompt_cut")).toEqual([]);
  await play.prompt("word ".repeat(1_300), { sessionId });
  expect(ofType(play, "prompt_cut")).toMatchObject([{ contextTokens: 6_144 }]);
});

test("a server that reads every prompt whole is accused of nothing", async () => {
  await using play = await startLocal(32_768, {
    script: {
      steps: [
        { think: "hm ".repeat(2_000), calls: [{ name: "read", input: { files: [{ path: "a.txt" }] } }] },
        { say: "It is long." },
        { say: "Yes." },
      ],
    },
    files: { "a.txt": `${" ".repeat(300)}-----\n`.repeat(100) },
  });
  const { sessionId } = await play.prompt("look");
  await play.prompt("go on", { sessionId });
  expect(ofType(play, "prompt_cut")).toEqual([]);
  expect(ofType(play, "step_finished")).toHaveLength(3);
});
