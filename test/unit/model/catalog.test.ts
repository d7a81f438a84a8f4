/** Names find models, additions are checked, costs follow the price step. */
import { describe, expect, test } from "vitest";
import { catalog, findModel, mergeModels, priceBeside } from "../../../server/src/model/catalog.ts";
import { parseModels } from "../../../server/src/model/catalogSchema.ts";
import { modelSpec } from "./support.ts";

test("the table passes the schema that additions must pass, and its ids are unique", () => {
  const { models, problems } = parseModels(catalog);
  expect(problems).toEqual([]);
  expect(models).toEqual(catalog);
  expect(new Set(catalog.map(({ id }) => id)).size).toBe(catalog.length);
});

describe("findModel", () => {
  test.each([
    { name: "anthropic/claude-sonnet-5-5", id: "anthropic/claude-sonnet-5-5", api: "anthropic-messages" },
    { name: " claude-opus-5-5 ", id: "anthropic/claude-opus-5-5", api: "anthropic-messages" },
    { name: "gpt-6.1-sol", id: "openai/gpt-6.1-sol", api: "openai-responses" },
    { name: "anthropic/claude-next", id: "anthropic/claude-next", api: "anthropic-messages" },
    { name: "openai/gpt-next", id: "openai/gpt-next", api: "openai-responses" },
    { name: "ollama/llama3.2:latest", id: "ollama/llama3.2:latest", api: "openai-chat" },
    { name: "local/org/model", id: "local/org/model", api: "openai-chat" },
  ])("$name", ({ name, id, api }) => {
    expect(findModel(name)).toMatchObject({ id, api });
  });

  test("a local model is asked on its server's usual port, without a key", () => {
    expect(findModel("ollama/qwen3")).toMatchObject({
      wireId: "qwen3",
      local: true,
      baseUrl: "http://127.0.0.1:11434/v1",
    });
  });

  test.each([
    { name: "claude-sonet-5-5", says: "Did you mean anthropic/claude-sonnet-5-5" },
    { name: "sonnet", says: "Did you mean anthropic/claude-sonnet-5-5" },
    { name: "zzzzzzzzzzzzzzz", says: "Known: anthropic/claude-sonnet-5-5" },
    { name: "mystery/model", says: "There is no model “mystery/model”" },
    { name: "anthropic/", says: "There is no model “anthropic/”" },
    { name: "", says: "There is no model “”" },
  ])("refuses “$name”", ({ name, says }) => {
    expect(() => findModel(name)).toThrow(expect.objectContaining({ code: "unknown_model" }));
    expect(() => findModel(name)).toThrow(says);
  });

  test("a vendor's id that two models share is asked back", () => {
    const models = [modelSpec({ id: "a/m", wireId: "m" }), modelSpec({ id: "b/m", wireId: "m" })];
    expect(() => findModel("m", models)).toThrow("Did you mean a/m or b/m?");
  });
});

test("an addition replaces the row of the same id and comes first", () => {
  const mine = modelSpec({ id: "anthropic/claude-opus-5-5", label: "Mine" });
  const merged = mergeModels([mine]);
  expect(merged[0]).toBe(mine);
  expect(merged).toHaveLength(catalog.length);
});

test("bad additions are named and good ones kept", () => {
  const { models, problems } = parseModels([modelSpec(), { ...modelSpec(), id: "no-slash" }, 3]);
  expect(models).toEqual([modelSpec()]);
  expect(problems).toEqual([
    expect.stringContaining("Model 2 is left out: ✖ must be provider/model"),
    expect.stringContaining("Model 3 is left out"),
  ]);
  expect(parseModels({}).problems).toEqual(["The list of models is not a list."]);
});

test.each([
  { model: { price: { input: 4, output: 20, cacheWrite: 5, cacheRead: 0.2 } }, price: "dearer" },
  { model: { price: { input: 1, output: 5, cacheWrite: 1, cacheRead: 0.1 } }, price: "cheaper" },
  { model: { price: { input: 2, output: 11, cacheWrite: 1, cacheRead: 0.1 } }, price: "similar" },
  { model: { local: true }, price: "free" },
  { model: {}, price: "unknown" },
] as const)("beside another a model is $price", ({ model, price }) => {
  const other = modelSpec({ price: { input: 2, output: 10, cacheWrite: 2.5, cacheRead: 0.1 } });
  expect(priceBeside(modelSpec(model), other)).toBe(price);
});
