/** Settings: defaults, problems that name the setting, credentials from editor and environment, the manifest. */
import { expect, test } from "vitest";
import { commandEnvironment, manifestConfiguration, readConfig, settings } from "../../server/src/config.ts";

test("without anything, every setting has its default", () => {
  const { settings: values, problems } = readConfig({});
  expect(problems).toEqual([]);
  for (const [name, spec] of Object.entries(settings))
    expect(values[name as keyof typeof values]).toEqual(spec.default);
});

test.each([
  [{ turn: { maxSteps: 0 } }, "hermes.turn.maxSteps must be a number from 1 to 1000"],
  [{ turn: { maxSteps: "many" } }, "hermes.turn.maxSteps must be a number"],
  [{ openai: { api: "soap" } }, "hermes.openai.api must be one of responses, chat"],
  [{ permissions: { rules: [1] } }, "hermes.permissions.rules must be a list of strings"],
  [{ "model.name": 7 }, "hermes.model.name must be a string"],
])("a bad value is told and its default used: %j", (given, problem) => {
  const config = readConfig({}, given);
  expect(config.problems).toHaveLength(1);
  expect(config.problems[0]).toContain(problem);
  expect(config.settings).toEqual(readConfig({}).settings);
});

test("a fraction stays one, other numbers are rounded down", () => {
  const { settings: values } = readConfig({}, { "cache.similarThreshold": 0.87, "cache.maxSize": 7.9 });
  expect([values["cache.similarThreshold"], values["cache.maxSize"]]).toEqual([0.87, 7]);
});

test("settings may be nested or dotted", () => {
  expect(readConfig({}, { "turn.maxSteps": 7 }).settings["turn.maxSteps"]).toBe(7);
  expect(readConfig({}, { turn: { maxSteps: 7 } }).settings["turn.maxSteps"]).toBe(7);
});

test("a key of the editor wins over the environment's, and settings over the environment's URLs", () => {
  const environment = { ANTHROPIC_API_KEY: "env-a", OPENAI_API_KEY: "env-o", OPENAI_BASE_URL: "http://env/v1" };
  const config = readConfig(environment, { openai: { baseUrl: "http://set/v1" } }, { anthropic: "editor-a" });
  expect(config.credentials).toEqual({ anthropic: "editor-a", openai: "env-o" });
  expect(config.baseUrls).toEqual({ openai: "http://set/v1" });
});

test("commands do not get the keys", () => {
  expect(commandEnvironment({ PATH: "/bin", ANTHROPIC_API_KEY: "a", OPENAI_API_KEY: "o" })).toEqual({ PATH: "/bin" });
});

test("a workspace can neither bring permissions nor send keys elsewhere", () => {
  const { properties } = manifestConfiguration() as { properties: { [name: string]: { scope: string } } };
  const names = [
    "permissions.rules",
    "model.fallbacks",
    "anthropic.baseUrl",
    "openai.baseUrl",
    "cache.embedder.baseUrl",
  ];
  for (const name of names) {
    expect(properties[`hermes.${name}`]?.scope).toBe("machine");
  }
});
