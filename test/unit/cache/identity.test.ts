/** The key of an answer: everything that could change it is in, nothing else is. */
import { expect, test } from "vitest";
import { canonicalJson, identify } from "../../../server/src/cache/identity.ts";
import type { ModelRequest } from "../../../server/src/model/provider.ts";
import type { ModelSpec, PromptPart } from "../../../server/src/protocol/types.ts";
import { requestAccount } from "../model/support.ts";

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
const prompt: readonly PromptPart[] = [
  { type: "text", text: "Why?" },
  { type: "reference", label: "a.ts", text: "let a" },
];
const facts: PromptPart = { type: "text", text: "Date: 2026-11-21" };
const request: ModelRequest = {
  model,
  system: "system",
  tools: [{ name: "read", description: "reads", inputSchema: { type: "object", properties: {} } }],
  messages: [{ role: "user", parts: [...prompt, facts] }],
  maxOutputTokens: 1_000,
  cacheKey: "hermes-s1",
  account: requestAccount,
};
const surroundings = { root: "/w", servers: ["chat"] };
const keys = (changed: Partial<ModelRequest> = {}, parts = prompt, around: Partial<typeof surroundings> = {}) => {
  const whole = { ...request, messages: [{ role: "user", parts: [...parts, facts] } as const], ...changed };
  const identity = identify(whole, parts, { ...surroundings, ...around });
  return [identity?.key, identity?.scope];
};

test("the order of keys does not matter, the order of lists does", () => {
  expect(canonicalJson({ b: { d: 1, c: [2, 1] }, a: null })).toBe('{"a":null,"b":{"c":[2,1],"d":1}}');
  expect(canonicalJson({ a: [1, 2] })).not.toBe(canonicalJson({ a: [2, 1] }));
});

test("what does not change the answer does not change the key", () => {
  expect(keys({ cacheKey: "hermes-s2" })).toEqual(keys());
  expect(
    keys({ model: { ...model, label: "Other", price: { input: 1, output: 1, cacheRead: 1, cacheWrite: 1 } } }),
  ).toEqual(keys());
});

test.each<[string, ReturnType<typeof keys>]>([
  ["the model", keys({ model: { ...model, id: "test/other" } })],
  ["the wire format", keys({ model: { ...model, api: "openai-chat" } })],
  ["the server", keys({ model: { ...model, baseUrl: "http://127.0.0.1:1/v1" } })],
  ["the settings of servers", keys({}, prompt, { servers: ["responses"] })],
  ["the system prompt", keys({ system: "other" })],
  ["the tools", keys({ tools: [] })],
  ["the length", keys({ maxOutputTokens: 1 })],
  ["the folder", keys({}, prompt, { root: "/x" })],
  ["a reference", keys({}, [{ type: "text", text: "Why?" }])],
])("with %s both names change", (_, [key, scope]) => {
  const [key0, scope0] = keys();
  expect(key).not.toBe(key0);
  expect(scope).not.toBe(scope0);
});

test("other words change the key and not the scope", () => {
  const [key, scope] = keys({}, [{ type: "text", text: "How come?" }, ...prompt.slice(1)]);
  expect(key).not.toBe(keys()[0]);
  expect(scope).toBe(keys()[1]);
});

test("what goes on from a conversation has no name", () => {
  const later = [...request.messages, { role: "user", parts: prompt } as const];
  expect(identify({ ...request, messages: later }, prompt, surroundings)).toBeUndefined();
});
