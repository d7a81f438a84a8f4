/** Sessions under the hands of a user who stops, changes models, pastes anything and opens a session twice. */
import { execFile } from "node:child_process";
import { access, chmod, mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { createLocalHost } from "../../server/src/main/local.ts";
import type { SessionEvent } from "../../server/src/protocol/events.ts";
import type { SessionId } from "../../server/src/protocol/types.ts";
import { type Play, startPlay, type WireFormat, wireFormats } from "../support/play.ts";

const neverAborted = new AbortController().signal;
const typesOf = (events: readonly SessionEvent[]) => events.map(({ type }) => type);

/** Another window or terminal on the same home, and the same folder unless another is given. */
async function anotherHost(play: Play, environment: { readonly [name: string]: string } = {}, root = play.root) {
  const missed: SessionEvent[] = [];
  const local = await createLocalHost({
    config: play.config,
    environment,
    root,
    trusted: () => true,
    ask: async () => "allow_once",
    onUpdate: (_, update) => {
      if ("seq" in update) missed.push(update);
    },
  });
  return {
    events: missed,
    prompt: (sessionId: SessionId, text: string) =>
      local.host.prompt({ sessionId, prompt: [{ type: "text", text }], origin: "cli" }, neverAborted),
    [Symbol.asyncDispose]: () => local.close(),
  };
}

test("cancelled while it asks: the question is closed before its call, and all that before the turn ends", async () => {
  const asked = Promise.withResolvers<void>();
  const shell = (command: string) => ({ name: "shell", input: { command } });
  await using play = await startPlay({
    script: { steps: [{ calls: [shell("echo 1"), shell("echo 2")] }] },
    // A client that has been told to forget the question and never answers.
    ask: () => {
      asked.resolve();
      return new Promise(() => undefined);
    },
  });
  const { sessionId } = await play.local.host.newSession({});
  const turn = play.prompt("go", { sessionId });
  await asked.promise;
  await play.until((update) => update.type === "assistant_block" && update.index === 1);
  await play.local.host.cancel(sessionId);
  expect(await turn).toMatchObject({ stopReason: "cancelled" });
  const events = play.events();
  const resolved = events.findIndex((event) => event.type === "permission_resolved" && event.choice === "cancelled");
  const [question] = events.flatMap((event) => (event.type === "permission_requested" ? [event.callId] : []));
  const result = events.findIndex((event) => event.type === "tool_result" && event.callId === question);
  expect(resolved).toBeGreaterThan(0);
  expect(result).toBeGreaterThan(resolved);
  expect(typesOf(events).filter((type) => type === "tool_result")).toHaveLength(2);
  expect(events.at(-1)?.type).toBe("turn_finished");
});

test("a session changes over between vendors and back, with thinking and calls in its history", async () => {
  await using play = await startPlay({
    files: { "a.txt": "one\n" },
    script: {
      repeatLast: true,
      steps: [
        { think: "I should look.", say: "I look.", calls: [{ name: "read", input: { files: [{ path: "a.txt" }] } }] },
        { think: "That was it.", say: "Seen." },
        { think: "Once more.", say: "I look again.", calls: [{ name: "list", input: {} }] },
        { say: "Seen again." },
      ],
    },
  });
  const models = ["anthropic-messages", "openai-responses", "anthropic-messages", "openai-responses"] as const;
  let sessionId: SessionId | undefined;
  for (const wire of models) {
    const turn = await play.prompt("look", { model: wireFormats[wire], ...(sessionId ? { sessionId } : {}) });
    expect(turn.stopReason).toBe("end_turn");
    sessionId = turn.sessionId;
  }
  play.local.configure({ ...play.config, settings: { ...play.config.settings, "openai.api": "chat" } });
  for (const wire of ["openai-chat", "anthropic-messages"] as const) {
    const turn = await play.prompt("look", { model: wireFormats[wire], ...(sessionId ? { sessionId } : {}) });
    expect(turn.stopReason).toBe("end_turn");
  }
  expect(new Set(play.double.requests.map(({ api }) => api)).size).toBe(3);
  play.double.assertClean();
});

test.each(Object.keys(wireFormats) as WireFormat[])("halves of characters never reach %s", async (wire) => {
  await using play = await startPlay({
    wire,
    files: { "AGENTS.md": `x${"😀".repeat(17_000)}` },
    script: {
      steps: [
        {
          calls: [
            { name: "read", rawArguments: `{"files":[{"path":"x${"😀".repeat(60)}` },
            { name: "shell", rawArguments: '{"command":"echo \\ud83d"}' },
          ],
        },
        { say: "done" },
      ],
    },
  });
  expect(await play.prompt(`${"a".repeat(78)}😀 and \ud83d alone`)).toMatchObject({ stopReason: "end_turn" });
  const bodies = play.double.requests.map(({ body }) => body.toString("utf8"));
  expect(bodies).toHaveLength(2);
  // An escape of one backslash; with two it is the text of a call's arguments, which is JSON within JSON.
  const half = /(?<!\\)(?:\\\\)*\\ud[89a-f][0-9a-f]{2}/i;
  expect(bodies.map((body) => half.exec(body)?.index)).toEqual([undefined, undefined]);
  play.double.assertClean();
});

test("a prompt of nothing but space is refused and leaves nothing behind", async () => {
  await using play = await startPlay({ script: { steps: [] } });
  await expect(play.prompt(" \n\t ")).rejects.toMatchObject({ code: "empty_prompt" });
  expect(typesOf(play.events())).toEqual(["session_created"]);
});

test("a session that another terminal has gone on with goes on here, and what was missed is told", async () => {
  await using play = await startPlay({ script: { repeatLast: true, steps: [{ say: "Yes." }] } });
  const { sessionId } = await play.prompt("one");
  await using other = await anotherHost(play);
  await other.prompt(sessionId, "two");
  expect(await play.prompt("three", { sessionId })).toMatchObject({ stopReason: "end_turn" });
  const told = play.events();
  expect(told.map(({ seq }) => seq)).toEqual(told.map((_, index) => index + 1));
  const { events } = await play.local.host.loadSession(sessionId);
  expect(told).toEqual(events);
  expect(typesOf(events).filter((type) => type === "turn_finished")).toHaveLength(3);
  play.double.assertClean();
});

test("a turn that was made in another terminal can be undone here", async () => {
  await using play = await startPlay({
    files: { "a.txt": "one\n" },
    script: {
      repeatLast: true,
      steps: [
        { say: "Yes." },
        { calls: [{ name: "edit", input: { path: "a.txt", old: "one", new: "two" } }] },
        { say: "Done." },
      ],
    },
  });
  const { sessionId } = await play.prompt("talk");
  await using other = await anotherHost(play, { PATH: process.env.PATH ?? "" });
  const { turnId } = await other.prompt(sessionId, "edit");
  expect(await play.read("a.txt")).toBe("two\n");
  const { files } = await play.local.host.undo({ sessionId, turnId });
  expect(files).toMatchObject([{ outcome: "restored" }]);
  expect(await play.read("a.txt")).toBe("one\n");
});

test("a model name that no model has hides none of the others, and the error says what there is", async () => {
  await using play = await startPlay({ script: { steps: [] }, settings: { "model.name": "nope" } });
  const { models, selected } = await play.local.models.list();
  expect(selected).toBe("nope");
  expect(models.length).toBeGreaterThan(3);
  await expect(play.prompt("hello")).rejects.toMatchObject({ code: "unknown_model" });
  await play.local.models.select("openai/gpt-6.1-sol");
  expect((await play.local.models.list()).selected).toBe("openai/gpt-6.1-sol");
});

test("a changed model setting counts, also after a model was chosen", async () => {
  await using play = await startPlay({ script: { steps: [] } });
  await play.local.models.select("openai/gpt-6.1-sol");
  const { settings } = play.config;
  play.local.configure({ ...play.config, settings: { ...settings, "execution.parallel.maxConcurrentTools": 3 } });
  expect((await play.local.models.list()).selected).toBe("openai/gpt-6.1-sol");
  play.local.configure({ ...play.config, settings: { ...settings, "model.name": "anthropic/claude-haiku-5-5" } });
  expect((await play.local.models.list()).selected).toBe("anthropic/claude-haiku-5-5");
});

test("reviewing changes runs nothing in a workspace that is not trusted", async () => {
  let trusted = false;
  await using play = await startPlay({
    files: { "a.txt": "one\n", "monitor.sh": "#!/bin/sh\ntouch ran\n" },
    script: { steps: [{ say: "Fine." }] },
    host: { trusted: () => trusted },
  });
  const git = (...args: string[]) =>
    promisify(execFile)("git", ["-c", "user.name=t", "-c", "user.email=t@example.com", ...args], { cwd: play.root });
  await git("init", "-q");
  await git("add", ".");
  await git("commit", "-qm", "first");
  await chmod(join(play.root, "monitor.sh"), 0o755);
  await git("config", "core.fsmonitor", "./monitor.sh");
  await writeFile(join(play.root, "a.txt"), "two\n");
  const review = () => play.local.host.startTask({ task: "review_changes" }, "command", neverAborted);
  await expect(review()).rejects.toMatchObject({ code: "untrusted" });
  await expect(access(join(play.root, "ran"))).rejects.toThrow("ENOENT");
  trusted = true;
  expect(await (await review()).done).toMatchObject({ stopReason: "end_turn" });
});

test("a session goes on in its own folder only, by whatever name that is reached", async () => {
  await using play = await startPlay({ script: { repeatLast: true, steps: [{ say: "Yes." }] } });
  const { sessionId } = await play.prompt("one");
  const elsewhere = join(play.home, "..", "elsewhere");
  await mkdir(elsewhere);
  await using other = await anotherHost(play, {}, elsewhere);
  await expect(other.prompt(sessionId, "two")).rejects.toMatchObject({
    code: "other_folder",
    message: expect.stringContaining(play.root),
  });
  const link = join(play.home, "..", "link");
  await symlink(play.root, link);
  await using same = await anotherHost(play, {}, link);
  expect(await same.prompt(sessionId, "two")).toMatchObject({ stopReason: "end_turn" });
  play.double.assertClean();
});

test("“always” that cannot be stored holds for the session, and the user is told", async () => {
  const shell = (command: string) => ({ calls: [{ name: "shell", input: { command } }] });
  let asked = 0;
  await using play = await startPlay({
    script: { steps: [shell("echo 1"), shell("echo 1"), { say: "Done." }] },
    ask: async () => {
      asked++;
      await mkdir(join(play.home, "permissions.json"));
      return "allow_always";
    },
  });
  expect(await play.prompt("go")).toMatchObject({ stopReason: "end_turn" });
  expect(asked).toBe(1);
  const results = play.events().flatMap((event) => (event.type === "tool_result" ? [event.isError] : []));
  expect(results).toEqual([false, false]);
  const notices = play.events().flatMap((event) => (event.type === "notice" ? [event.message] : []));
  expect(notices).toEqual([expect.stringContaining("this session only")]);
});
