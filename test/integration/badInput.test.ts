/** Bad input through the whole host: the model or the user is told clearly, and nothing is lost. */
import { appendFile, open, readFile, rm, truncate } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createLocalHost } from "../../server/src/main/local.ts";
import type { ScriptCall, Step } from "../support/modelDouble.ts";
import { type Play, startPlay } from "../support/play.ts";

/** Lets the model make some calls, message by message, and gives the result of each. */
async function results(play: Play): Promise<readonly { readonly text: string; readonly isError: boolean }[]> {
  const { stopReason } = await play.prompt("go");
  expect(stopReason).toBe("end_turn");
  play.double.assertClean();
  return play
    .events()
    .flatMap((event) => (event.type === "tool_result" ? [{ text: event.text, isError: event.isError }] : []));
}

const steps = (...calls: readonly (readonly ScriptCall[])[]): { steps: Step[] } => ({
  steps: [...calls.map((each) => ({ calls: [...each] })), { say: "I see." }],
});
const edit = (path: string, old: string, text: string): ScriptCall => ({
  name: "edit",
  input: { path, old, new: text },
});
const read = (path: string): ScriptCall => ({ name: "read", input: { files: [{ path }] } });

const files = { "a.txt": "one\ntwo\ntwo\nthree\n", "image.bin": new Uint8Array([137, 80, 78, 71, 0, 1, 2, 3]) };

test.each<[string, ScriptCall, RegExp]>([
  [
    "malformed arguments",
    { name: "read", rawArguments: '{"files": [{"path": "a.t' },
    /not valid JSON.*Send the call again/s,
  ],
  ["arguments of the wrong shape", { name: "read", input: { file: "a.txt" } }, /Invalid arguments for read.*files/s],
  ["an unknown tool", { name: "teleport", input: {} }, /no tool "teleport".*edit, list, move, read/s],
  ["edit text that is nowhere", edit("a.txt", "one\ntwo\ntwoo\nthree", "x"), /one\ntwo\ntwo\nthree/],
  ["edit text that is there twice", edit("a.txt", "two", "2"), /2.*3/s],
  ["a binary file", read("image.bin"), /binary/],
  ["a binary file to edit", edit("image.bin", "PNG", "x"), /binary/],
  ["a missing file", read("b.txt"), /a\.txt/],
  ["a folder", read("."), /folder/],
  ["a bad pattern", { name: "search", input: { pattern: "(" } }, /literal/],
])("%s: the model is told, the file is as it was", async (_, call, said) => {
  await using play = await startPlay({ files, script: steps([call]) });
  const [result] = await results(play);
  expect(result).toEqual({ isError: true, text: expect.stringMatching(said) });
  expect(await play.read("a.txt")).toBe(files["a.txt"]);
  expect(new Uint8Array(await readFile(join(play.root, "image.bin")))).toEqual(files["image.bin"]);
});

test("the same failing edit is not looked for again in a turn, and is told the text that is there", async () => {
  const wrong = edit("a.txt", "two", "2");
  await using play = await startPlay({ files, script: steps([wrong], [wrong], [wrong, read("a.txt")]) });
  const [first, second, third] = await results(play);
  expect(first?.text).toMatch(/^"old" occurs more than once in a\.txt at lines 2, 3\./);
  const again = "This is the same edit that has already failed in this turn. Do not try it again.";
  const place = "Lines 1-4 there are:\none\ntwo\ntwo\nthree\n[end of line 4]";
  expect(second).toEqual({ isError: true, text: `${again} ${first?.text}\n${place}` });
  expect(third).toEqual(second);
  expect(await play.read("a.txt")).toBe(files["a.txt"]);
  // What the model was sent is what the journal has.
  const sent = play.double.requests.at(-1)?.view?.turns.flatMap((turn) => (turn.role === "user" ? turn.results : []));
  expect(sent?.map(({ text }) => text).slice(0, 3)).toEqual([first?.text, second?.text, third?.text]);
});

test("a file of 2 GB is refused by its size, unread", async () => {
  await using play = await startPlay({ files, script: steps([read("huge.log")]) });
  const handle = await open(join(play.root, "huge.log"), "w");
  await handle.truncate(2 * 1024 ** 3);
  await handle.close();
  const before = process.memoryUsage().rss;
  const [result] = await results(play);
  expect(result).toEqual({ isError: true, text: expect.stringMatching(/2(\.\d+)? GB|2,?147/) });
  expect(process.memoryUsage().rss - before).toBeLessThan(200 * 1024 * 1024);
});

test("a file deleted between read and edit is not made again", async () => {
  await using play = await startPlay({
    files,
    script: steps([read("a.txt")], [edit("a.txt", "one", "1")]),
    ask: async () => {
      await rm(join(play.root, "a.txt"));
      return "allow_once";
    },
  });
  const [, edited] = await results(play);
  expect(edited).toEqual({ isError: true, text: expect.stringContaining("deleted") });
  await expect(play.read("a.txt")).rejects.toThrow("ENOENT");
});

test("a file changed between read and edit keeps both changes", async () => {
  await using play = await startPlay({
    files,
    script: steps([read("a.txt")], [edit("a.txt", "three", "3")]),
    ask: async () => {
      await appendFile(join(play.root, "a.txt"), "four\n");
      return "allow_once";
    },
  });
  expect((await results(play)).map(({ isError }) => isError)).toEqual([false, false]);
  expect(await play.read("a.txt")).toBe("one\ntwo\ntwo\n3\nfour\n");
});

test("a journal cut in mid-line: what was stored is there, the session goes on", async () => {
  await using play = await startPlay({ files, script: { steps: [{ say: "One." }, { say: "Two." }] } });
  const { sessionId } = await play.prompt("first");
  await play.local.close();
  const path = join(play.home, "sessions", `${sessionId}.jsonl`);
  const whole = await readFile(path, "utf8");
  await truncate(path, Buffer.byteLength(whole) - 20);
  const host = await createLocalHost({
    config: play.config,
    environment: { PATH: process.env.PATH },
    root: play.root,
    trusted: () => true,
    ask: async () => "deny",
    onUpdate: () => undefined,
  });
  try {
    const loaded = await host.host.loadSession(sessionId);
    expect(loaded.events.some((event) => event.type === "assistant_block")).toBe(true);
    expect(loaded.events).toContainEqual(
      expect.objectContaining({ type: "notice", message: expect.stringContaining("could not be read") }),
    );
    expect(loaded.events.at(-1)).toMatchObject({ type: "turn_finished" });
    const result = await host.host.prompt(
      { sessionId, prompt: [{ type: "text", text: "second" }], origin: "cli" },
      new AbortController().signal,
    );
    expect(result.stopReason).toBe("end_turn");
  } finally {
    await host.close();
  }
});

test("a second prompt while one runs is refused, and the first is not disturbed", async () => {
  await using play = await startPlay({ files, script: { steps: [{ say: "Slow.", hold: "gate" }] } });
  const { sessionId } = await play.local.host.newSession({});
  const first = play.prompt("first", { sessionId });
  await play.double.reached("gate");
  await expect(play.prompt("second", { sessionId })).rejects.toMatchObject({ code: "turn_running" });
  play.double.release("gate");
  expect((await first).stopReason).toBe("end_turn");
});

test("an untrusted workspace runs nothing and edits nothing", async () => {
  await using play = await startPlay({
    files,
    script: steps([read("a.txt"), edit("a.txt", "one", "1"), { name: "shell", input: { command: "touch b" } }]),
    host: { trusted: () => false },
  });
  expect((await results(play)).map(({ isError }) => isError)).toEqual([false, true, true]);
  expect(await play.read("a.txt")).toBe(files["a.txt"]);
});

test("what may not be read is not found by search or list either", async () => {
  await using play = await startPlay({
    files: { "secrets/key.txt": "needle in secret", "open.txt": "needle in the open" },
    script: steps(
      [{ name: "search", input: { pattern: "needle" } }],
      [{ name: "list", input: { path: "." } }],
      [read("secrets/key.txt")],
    ),
    host: { extraRules: [{ tool: "read", pattern: "secrets/**", decision: "deny" }] },
  });
  const [search, list, file] = await results(play);
  expect(search?.text).toContain("in the open");
  expect(`${search?.text}${list?.text}${file?.text}`).not.toMatch(/in secret|key\.txt\n/);
  expect(file?.isError).toBe(true);
});

test("one answer for this session spares the questions that wait behind it", async () => {
  let asked = 0;
  await using play = await startPlay({
    files: { "a.txt": "a", "b.txt": "b", "c.txt": "c" },
    script: steps([edit("a.txt", "a", "1"), edit("b.txt", "b", "2"), edit("c.txt", "c", "3")]),
    ask: async () => {
      asked += 1;
      return "allow_session";
    },
  });
  await results(play);
  expect(asked).toBe(1);
  expect([await play.read("a.txt"), await play.read("b.txt"), await play.read("c.txt")]).toEqual(["1", "2", "3"]);
});

test("an answer for always is kept for this folder, outside of it", async () => {
  await using play = await startPlay({
    files,
    script: steps([{ name: "shell", input: { command: "true" } }]),
    ask: async () => "allow_always",
  });
  await results(play);
  const rules = JSON.parse(await readFile(join(play.home, "permissions.json"), "utf8"));
  expect(rules).toEqual({ [play.root]: ["shell(true)"] });
});
