/** The system prompt: its size, its bytes, the project's instructions in it, and what goes beside it. */
import { describe, expect, test } from "vitest";
import { systemClock } from "../../../server/src/base/async.ts";
import {
  changedInstructions,
  momentContext,
  sessionPrompt,
  systemPrompt,
  toldDate,
} from "../../../server/src/session/prompt.ts";
import { createBuiltinTools } from "../../../server/src/tools/builtin/builtinTools.ts";
import { createRegistry } from "../../../server/src/tools/registry.ts";
import { startPlay } from "../../support/play.ts";

const limit = 32 * 1024;
const cutNote = "\n[AGENTS.md is longer than 32 KB; the rest is left out. Read the file for it.]";
const heading = "\n\n# Instructions of this project (AGENTS.md)\n\n";

/** The part of the system prompt that comes from AGENTS.md. */
function instructionsIn(prompt: string): string {
  return prompt.slice(prompt.indexOf(heading) + heading.length);
}

const specs = () => JSON.stringify(createRegistry(createBuiltinTools({ clock: { now: () => 0 } })).specs());

test("the system prompt and the tools together stay under 3,000 tokens at four bytes each", () => {
  expect(Buffer.byteLength(systemPrompt(undefined) + specs()) / 4).toBeLessThan(3_000);
});

test("a hundred builds give the same bytes", () => {
  const builds = Array.from({ length: 100 }, () => systemPrompt("Use tabs.\n") + specs());
  expect(new Set(builds).size).toBe(1);
});

describe("AGENTS.md", () => {
  test("comes after our own words, under its name", () => {
    const prompt = systemPrompt("Use tabs.\n");
    expect(prompt).toBe(`${systemPrompt(undefined)}${heading}Use tabs.`);
  });

  test.each([undefined, "", " \r\n\t\n"])("leaves no trace when it says nothing: %j", (nothing) => {
    expect(systemPrompt(nothing)).not.toContain("AGENTS.md");
  });

  test("gives the same prompt whatever its line endings", () => {
    expect(systemPrompt("# Rules\r\n\r\n- one\r\n")).toBe(systemPrompt("# Rules\n\n- one\n"));
  });

  test("is whole at 32 KB, and cut one byte later with a line that says so", () => {
    expect(instructionsIn(systemPrompt("a".repeat(limit)))).toBe("a".repeat(limit));
    expect(instructionsIn(systemPrompt("a".repeat(limit + 1)))).toBe("a".repeat(limit) + cutNote);
  });

  test.each(["ß", "語", "👋"])("is measured in bytes and never cut inside a character: %s", (character) => {
    // One byte in front, so that the limit falls inside a character.
    const kept = instructionsIn(systemPrompt(`x${character.repeat(limit)}`)).replace(cutNote, "");
    const whole = Math.floor((limit - 1) / Buffer.byteLength(character));
    expect(kept.replaceAll(character, "")).toBe("x");
    expect(kept.length).toBe(1 + whole * character.length);
  });
});

test("what is true at the moment is told before the first prompt, and later only another date", () => {
  const moment = { root: "/project", platform: "linux", now: Date.UTC(2026, 10, 21, 23, 59) };
  expect(momentContext({ ...moment, toldDate: undefined })).toBe(
    "<context>\nWorkspace root: /project\nPlatform: linux\nDate: 2026-11-21\n</context>",
  );
  expect(momentContext({ ...moment, toldDate: "2026-11-21" })).toBe("");
  expect(momentContext({ ...moment, now: moment.now + 60_000, toldDate: "2026-11-21" })).toBe(
    "<context>\nDate: 2026-11-22\n</context>",
  );
});

test("the date that a conversation knows is that of the last turn in it which told one", () => {
  const told = (date: string, gone = false) => ({ context: momentContext({ ...place, now: Date.parse(date) }), gone });
  const place = { root: "/project", platform: "linux", toldDate: undefined };
  const nothing = { context: "", gone: false };
  expect(toldDate([])).toBeUndefined();
  expect(toldDate([told("2026-11-21"), nothing, told("2026-11-22"), nothing])).toBe("2026-11-22");
  expect(toldDate([told("2026-11-21"), told("2026-11-22", true)])).toBe("2026-11-21");
});

test("a session is given both once: the system prompt is frozen, the context goes with the first prompt", async () => {
  await using play = await startPlay({
    script: { steps: [{ say: "One." }, { say: "Two." }] },
    files: { "AGENTS.md": "Use tabs.\r\nNo semicolons.\r\n" },
  });
  const { sessionId } = await play.prompt("first");
  await play.prompt("second", { sessionId });
  const events = play.events();
  const systems = events.flatMap((event) => (event.type === "system_set" ? [event.text] : []));
  expect(systems).toEqual([systemPrompt("Use tabs.\nNo semicolons.\n")]);
  const contexts = events.flatMap((event) => (event.type === "turn_started" ? [event.context] : []));
  expect(contexts).toEqual([expect.stringContaining(`Workspace root: ${play.root}\n`), ""]);
});

test("a date that changes between two prompts is told with the later one, and the bytes before it stay", async () => {
  let now = Date.UTC(2026, 10, 21, 23, 59);
  await using play = await startPlay({
    script: { steps: [{ say: "One." }, { say: "Two." }, { say: "Three." }] },
    host: { clock: { ...systemClock, now: () => now } },
  });
  const { sessionId } = await play.prompt("first");
  now += 120_000;
  await play.prompt("second", { sessionId });
  await play.prompt("third", { sessionId });
  const contexts = play.events().flatMap((event) => (event.type === "turn_started" ? [event.context] : []));
  expect(contexts.slice(1)).toEqual(["<context>\nDate: 2026-11-22\n</context>", ""]);
  // That earlier bytes stay is one of the double's rules; here is what the later request has.
  expect(play.double.requests.at(-1)?.body.toString()).toContain("Date: 2026-11-22");
});

describe("a session that begins with a small window", () => {
  test("has a prompt and tools of less than 800 tokens at four bytes each", () => {
    const { text, tools } = sessionPrompt(8_192, undefined);
    const registry = createRegistry(createBuiltinTools({ clock: { now: () => 0 } }));
    expect(registry.specs(tools).map(({ name }) => name)).toEqual(["edit", "read", "search", "shell", "write"]);
    expect(Buffer.byteLength(text + JSON.stringify(registry.specs(tools))) / 4).toBeLessThan(800);
  });

  test("takes little of the project's instructions, and says so", () => {
    const { text } = sessionPrompt(8_192, "a".repeat(2 * 1024 + 1));
    expect(instructionsIn(text)).toBe(`${"a".repeat(2 * 1024)}${cutNote.replace("32 KB", "2 KB")}`);
  });

  test("is no other from 16,384 tokens on", () => {
    expect(sessionPrompt(16_384, "Use tabs.")).toEqual({ text: systemPrompt("Use tabs.") });
  });
});

describe("instructions that change during a session", () => {
  const system = systemPrompt("Tabs.");
  const none = { context: "", gone: false };

  test("are told once with the next prompt, and the system prompt stays", () => {
    expect(changedInstructions({ system, turns: [none] }, "Tabs.\r\n")).toBe("");
    const told = changedInstructions({ system, turns: [none] }, "Spaces.");
    expect(told).toMatch(/^<instructions>\nAGENTS.md has changed[\s\S]*Spaces\.\n<\/instructions>$/);
    const turns = [none, { context: `<context>\nDate: 2026-11-21\n</context>\n${told}`, gone: false }];
    expect(changedInstructions({ system, turns }, "Spaces.")).toBe("");
    expect(changedInstructions({ system, turns }, "Tabs.")).toContain("Tabs.");
  });

  test("are told again when the prompt that they went with is gone", () => {
    const told = changedInstructions({ system, turns: [none] }, "Spaces.");
    expect(changedInstructions({ system, turns: [{ context: told, gone: true }] }, "Spaces.")).toBe(told);
  });

  test("may come and go", () => {
    expect(changedInstructions({ system, turns: [none] }, undefined)).toContain("AGENTS.md is gone");
    expect(changedInstructions({ system: systemPrompt(undefined), turns: [none] }, undefined)).toBe("");
    expect(changedInstructions({ system: systemPrompt(undefined), turns: [none] }, "New.")).toContain("New.");
  });
});
