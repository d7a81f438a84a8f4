/** Arguments of tool calls and cut answers, by table. */
import { describe, expect, test } from "vitest";
import { echoedInput, toToolCall, withoutTrailingThinking } from "../../../server/src/model/json.ts";
import type { AssistantBlock } from "../../../server/src/protocol/types.ts";
import { callId } from "./support.ts";

describe("toToolCall", () => {
  test.each([
    { raw: "", input: {} },
    { raw: "  ", input: {} },
    { raw: '{"a":[1,null]}', input: { a: [1, null] } },
  ])("reads $raw", ({ raw, input }) => {
    const call = toToolCall(callId("c"), "read", raw);
    expect(call).toEqual({ type: "tool_call", callId: "c", name: "read", input });
    expect(echoedInput(call)).toEqual(input);
  });

  test.each(['{"a":', "[1]", '"text"', "null", "{}{}", "3"])("keeps %s raw, and echoes an object", (raw) => {
    const call = toToolCall(callId("c"), "read", raw);
    expect(call).toEqual({ type: "tool_call", callId: "c", name: "read", input: null, malformed: raw });
    expect(echoedInput(call)).toEqual({ INVALID_JSON: raw });
  });
});

describe("withoutTrailingThinking", () => {
  const text: AssistantBlock = { part: { type: "text", text: "x" } };
  const thinking: AssistantBlock = { part: { type: "thinking", text: "" } };
  const redacted: AssistantBlock = { part: { type: "opaque" }, wire: { type: "redacted_thinking", data: "x" } };
  const serverTool: AssistantBlock = { part: { type: "opaque" }, wire: { type: "server_tool_use" } };
  test.each([
    { name: "keeps thinking that something follows", blocks: [thinking, text], kept: 2 },
    { name: "drops thinking at the end", blocks: [thinking, text, thinking, redacted], kept: 2 },
    { name: "drops an answer of thinking alone", blocks: [thinking], kept: 0 },
    { name: "keeps other vendor blocks", blocks: [thinking, serverTool], kept: 2 },
  ])("$name", ({ blocks, kept }) => {
    expect(withoutTrailingThinking(blocks)).toEqual(blocks.slice(0, kept));
  });
});
