/** The registry's order, and the schemas as all vendors must accept them. */
import { expect, test } from "vitest";
import type { Json } from "../../../server/src/protocol/types.ts";
import { createBuiltinTools } from "../../../server/src/tools/builtin/builtinTools.ts";
import { createRegistry } from "../../../server/src/tools/registry.ts";

const tools = () => createBuiltinTools({ clock: { now: () => 0 } });

/** The keywords that Anthropic, OpenAI Responses and the common local servers all take in a tool's schema. */
const commonKeywords = new Set([
  "type",
  "properties",
  "required",
  "items",
  "description",
  "enum",
  "minimum",
  "maximum",
  "minLength",
  "minItems",
  "maxItems",
]);

function keywordsOf(schema: Json): string[] {
  if (typeof schema !== "object" || schema === null || Array.isArray(schema)) return [];
  const entries = Object.entries(schema as { readonly [key: string]: Json });
  return entries.flatMap(([key, value]) => {
    const inner = key === "properties" && value !== null ? Object.values(value as object) : [value];
    return [key, ...inner.flatMap((part: Json) => keywordsOf(part))];
  });
}

test("tools come by name, whatever order they were given in, with the same bytes", () => {
  const registry = createRegistry(tools());
  const reversed = createRegistry(tools().toReversed());
  expect(registry.names).toEqual(["delete", "edit", "list", "move", "read", "search", "shell", "write"]);
  expect(JSON.stringify(reversed.specs())).toBe(JSON.stringify(registry.specs()));
});

test("two tools of one name are refused", () => {
  expect(() => createRegistry([...tools(), ...tools()])).toThrowError('Two tools are named "delete".');
});

test("schemas are objects and hold only what every vendor takes", () => {
  for (const { inputSchema } of createRegistry(tools()).specs()) {
    expect(inputSchema.type).toBe("object");
    expect(keywordsOf(inputSchema).filter((keyword) => !commonKeywords.has(keyword))).toEqual([]);
  }
});

test("an edit names its file first, then the place, then the new text", () => {
  const edit = createRegistry(tools()).get("edit");
  expect(Object.keys((edit?.spec.inputSchema.properties ?? {}) as object)).toEqual(["path", "old", "new", "all"]);
});

test("all schemas together stay under 1,500 tokens at four bytes each", () => {
  expect(Buffer.byteLength(JSON.stringify(createRegistry(tools()).specs())) / 4).toBeLessThan(1_500);
});
