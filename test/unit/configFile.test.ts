/** Configuration files as text: what they give, and what is said of what is wrong, with its place. */
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { readConfig, type Settings, settings } from "../../server/src/config.ts";
import { maxConfigLength, parseConfigFile } from "../../server/src/configFile.ts";
import { configFileSchema, configFileTemplate } from "../../server/src/configSchema.ts";

/** How a file asks for a variable of the environment. */
const variable = (name: string) => `\${${name}}`;

const right = `
# what everybody here wants
model:
  name: anthropic/claude-haiku-5-5
execution: {parallel: {enabled: false}}
turn.maxSteps: 12.7
localModels:
  detect: no
`;

test("nested and dotted names give the same settings, checked as the editor's are", () => {
  const { values, problems } = parseConfigFile(right.replace("no\n", "false\n"), "workspace", {});
  expect(problems).toEqual([]);
  expect(Object.fromEntries(values ?? [])).toEqual({
    "model.name": "anthropic/claude-haiku-5-5",
    "execution.parallel.enabled": false,
    "turn.maxSteps": 12,
    "localModels.detect": false,
  });
});

test.each([
  ["", {}],
  ["# nothing yet\n", {}],
  ["---\n", {}],
  ["model:\n", {}],
  ["model:\n  name:\n", {}],
])("%j gives nothing and is right", (text, values) => {
  const parsed = parseConfigFile(text, "workspace", {});
  expect(parsed.problems).toEqual([]);
  expect(Object.fromEntries(parsed.values ?? [])).toEqual(values);
});

test.each([
  ["turn:\n  maxSteps: many\n", 1, 12, 'turn.maxSteps must be a number from 1 to 1000; it is "many".'],
  ["turn:\n  maxSteps: 0\n", 1, 12, "turn.maxSteps must be a number from 1 to 1000; it is 0."],
  ["localModels.detect: 1\n", 0, 20, "must be true or false"],
  ["openai: {api: soap}\n", 0, 14, "openai.api must be one of responses, chat"],
  ["turn: 5\n", 0, 6, "turn is a group of settings: turn.maxSteps"],
  ["- turn\n", 0, 0, "`name: value` lines"],
  ["turn: {maxSteps: 1\n", 1, 0, ""],
  ["turn:\n  maxSteps: 1\nturn:\n  maxSteps: 2\n", 2, 0, "unique"],
  ["turn:\n\tmaxSteps: 1\n", 1, 0, "Tabs"],
  ["a: &all 1\nturn:\n  maxSteps: *all\n", 2, 12, "Aliases"],
  ["? [turn]\n: 1\n", 0, 2, "plain word"],
  ["permissions:\n  rules: [allow shell(*)]\n", 1, 2, "cannot be set in a workspace's file"],
  ["anthropic.baseUrl: http://elsewhere\n", 0, 0, "cannot be set in a workspace's file"],
  [`model:\n  name: ${variable("ANTHROPIC_API_KEY")}\n`, 1, 8, "not filled in"],
])("%j: line %i, character %i", (text, line, character, message) => {
  const { values, problems } = parseConfigFile(text, "workspace", { ANTHROPIC_API_KEY: "secret" });
  expect(values).toBeUndefined();
  const [problem] = problems.filter(({ severity }) => severity === "error");
  expect(problem?.from).toEqual({ line, character });
  expect(problem?.message).toContain(message);
  expect(problem?.message).not.toContain("secret");
});

test("a name that is not known is a warning with what may have been meant, and the rest holds", () => {
  const { values, problems } = parseConfigFile(
    "tools:\n  maxsteps: 3\nturn:\n  maxSteps: 4\n  colour: red\n",
    "user",
    {},
  );
  expect(problems.map(({ severity, message }) => `${severity}: ${message}`)).toEqual([
    "warning: This version of Hermes has no setting tools, so it has no effect.",
    "warning: This version of Hermes has no setting turn.colour, so it has no effect.",
  ]);
  expect(Object.fromEntries(values ?? [])).toEqual({ "turn.maxSteps": 4 });
  expect(parseConfigFile("maxsteps: 3\n", "user", {}).problems[0]?.message).toContain("Did you mean turn.maxSteps?");
});

describe("a user's own file", () => {
  test("is filled in from the environment", () => {
    const text = `openai:\n  baseUrl: http://${variable("HOST")}:${variable("PORT")}/v1\npermissions.rules: ["allow shell(${variable("TOOL")})"]\n`;
    const { values, problems } = parseConfigFile(text, "user", { HOST: "127.0.0.1", PORT: "8080", TOOL: "make" });
    expect(problems).toEqual([]);
    expect(Object.fromEntries(values ?? [])).toEqual({
      "openai.baseUrl": "http://127.0.0.1:8080/v1",
      "permissions.rules": ["allow shell(make)"],
    });
  });

  test("names a variable that is missing", () => {
    const { values, problems } = parseConfigFile(`openai:\n  baseUrl: http://${variable("HOST")}/v1\n`, "user", {});
    expect(values).toBeUndefined();
    expect(problems).toMatchObject([
      { message: "The environment has no variable HOST.", from: { line: 1, character: 11 } },
    ]);
  });
});

test("a file that is far too long is not read", () => {
  const { values, problems } = parseConfigFile(`# ${"x".repeat(maxConfigLength)}`, "user", {});
  expect(values).toBeUndefined();
  expect(problems).toMatchObject([{ message: expect.stringContaining("longer than 256 KB") }]);
});

test("what is set in the editor counts before files, the first file before later ones, and files before defaults", () => {
  const first = new Map<string, number | string>([
    ["turn.maxSteps", 1],
    ["execution.parallel.maxConcurrentTools", 2],
  ]);
  const second = new Map([
    ["turn.maxSteps", 3],
    ["execution.parallel.maxConcurrentTools", 4],
  ]);
  const config = readConfig({}, { turn: { maxSteps: 5 } }, {}, [first, second]);
  expect(config.settings).toMatchObject({
    "turn.maxSteps": 5,
    "execution.parallel.maxConcurrentTools": 2,
    "model.name": "auto",
  } satisfies Partial<Settings>);
  expect(readConfig({}, { turn: { maxSteps: "many" } }, {}, [second]).settings["turn.maxSteps"]).toBe(3);
});

test("the template of a user's file names every setting, and taking the # away makes it a right file of defaults", () => {
  const template = configFileTemplate("user");
  expect(parseConfigFile(template, "user", {})).toEqual({ values: new Map(), problems: [] });
  const lines = template.split("\n").filter((line) => /^# {1,}[\w]+:( |$)/.test(line));
  const { values, problems } = parseConfigFile(lines.map((line) => line.slice(2)).join("\n"), "user", {});
  expect(problems).toEqual([]);
  expect(Object.fromEntries(values ?? [])).toEqual(readConfig({}).settings);
  expect(configFileTemplate("workspace")).not.toMatch(/baseUrl|rules/);
});

test("the schema knows exactly the settings", () => {
  const leaves = (schema: { readonly properties?: object }, prefix: string): string[] =>
    Object.entries(schema.properties ?? {}).flatMap(([key, below]) =>
      "properties" in below ? leaves(below, `${prefix}${key}.`) : [prefix + key],
    );
  expect(leaves(configFileSchema(), "").toSorted()).toEqual(Object.keys(settings).toSorted());
  expect(parse(right)).toBeTypeOf("object");
});
