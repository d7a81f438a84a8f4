/**
 * What the panel's wishes become: requests to the host, and messages to the page, in order.
 *
 * Easily got wrong: the host is played by a table of answers, and a request that has none fails the test.
 */
import { expect, test } from "vitest";
import { Conversation, type ConversationDeps } from "../../../client/src/conversation.ts";
import type { SessionUpdate } from "../../../server/src/protocol/events.ts";
import type { ListModelsResult } from "../../../server/src/protocol/methods.ts";
import type { ToPanel } from "../../../server/src/protocol/panel.ts";
import type { ModelChoice, SessionId } from "../../../server/src/protocol/types.ts";
import * as say from "../../support/panelMessages.ts";

const { sessionId } = say;

interface World {
  readonly conversation: Conversation;
  readonly asked: string[];
  readonly posted: ToPanel[];
  readonly running: boolean[];
  readonly memory: Map<string, string>;
}

type Answers = { readonly [method: string]: (params: never) => unknown };

function world(answers: Answers, extra: Partial<ConversationDeps> = {}, remembered: [string, string][] = []): World {
  const asked: string[] = [];
  const posted: ToPanel[] = [];
  const running: boolean[] = [];
  const memory = new Map(remembered);
  const answer = async (method: string, params: unknown) => {
    asked.push(`${method} ${JSON.stringify(params)}`);
    const give = answers[method];
    if (!give) throw new Error(`unexpected ${method}`);
    return give(params as never);
  };
  const conversation = new Conversation({
    agent: {
      status: { state: "running" },
      request: (type, params) => answer(type.method, params) as never,
      notify: (type, params) => answer(type.method, params) as never,
    },
    post: (message) => posted.push(message),
    takeReferences: () => [],
    openFiles: () => [],
    askForKey: async () => undefined,
    memory: {
      get: (name) => memory.get(name),
      set: (name, value) => void (value === undefined ? memory.delete(name) : memory.set(name, value)),
    },
    onDidChangeRunning: (value) => running.push(value),
    onDidChangeModels: () => undefined,
    onConflicts: () => undefined,
    log: () => undefined,
    ...extra,
  });
  return { conversation, asked, posted, running, memory };
}

/** A failure as the host reports it. */
function refusal(code: string, message: string): Error {
  return Object.assign(new Error(message), { data: { code } });
}

const list = (selected: string, models: readonly ModelChoice[] = say.models): ListModelsResult => ({
  models,
  selected,
});
const types = (posted: readonly ToPanel[]) => posted.map(({ type }) => type);

/** What the next request costs is asked anew after each turn. */
const asksForecast = `session/warmUp ${JSON.stringify({ intent: "focus", sessionId })}`;

test("who writes is prepared for, and the page is told what the next request finds and costs", async () => {
  const forecast = { tokens: 9_000, warmUntilAt: 5, anewUsd: { "a/b": 0.02 } };
  const { conversation, asked, posted } = world({ "session/warmUp": () => ({ forecast }) }, {}, [
    ["session", sessionId],
  ]);
  await conversation.warmUp("typing");
  expect(asked).toEqual([`session/warmUp ${JSON.stringify({ intent: "typing", sessionId })}`]);
  expect(posted).toEqual([{ type: "forecast", sessionId, forecast }]);
});

test("who writes without a key is not disturbed by that", async () => {
  const refuse = () => {
    throw refusal("needs_key", "There is no key.");
  };
  const { conversation, posted } = world({ "session/warmUp": refuse });
  await conversation.warmUp("focus");
  expect(posted).toEqual([]);
});

test("the first prompt makes a session, which is remembered, and takes the references along", async () => {
  const reference = { type: "reference", label: "a.ts:1", text: "let a" } as const;
  const open = [{ uri: "file:///p/a.ts", isActive: true, errors: 1, warnings: 0 }];
  const { conversation, asked, posted, memory } = world(
    { "session/new": () => ({ sessionId }), "session/prompt": () => ({ stopReason: "end_turn" }) },
    { takeReferences: () => [reference], openFiles: () => open },
  );
  await conversation.submit("Hi");
  const prompt = [{ type: "text", text: "Hi" }, reference];
  expect(asked).toEqual([
    "session/new {}",
    `session/prompt ${JSON.stringify({ sessionId, prompt, origin: "panel", openFiles: open })}`,
    asksForecast,
  ]);
  expect(types(posted)).toEqual(["session", "prompt_settled"]);
  expect(memory.get("session")).toBe(sessionId);
  await conversation.submit("More");
  expect(asked.filter((line) => line.startsWith("session/new"))).toHaveLength(1);
});

test("asking again asks the model, in a new session, with the same prompt", async () => {
  const prompt = [{ type: "text", text: "Why?" }] as const;
  const { conversation, asked, posted } = world(
    { "session/new": () => ({ sessionId }), "session/prompt": () => ({ stopReason: "end_turn" }) },
    {},
    [["session", "s0"]],
  );
  await conversation.askAgain(prompt);
  expect(asked).toEqual([
    "session/new {}",
    `session/prompt ${JSON.stringify({ sessionId, prompt, origin: "panel", openFiles: [], fresh: true })}`,
    asksForecast,
  ]);
  expect(types(posted)).toEqual(["session", "session", "prompt_settled"]);
});

test.each([
  ["needs_key", "set_api_key"],
  ["turn_running", undefined],
  ["internal", "show_log"],
])("a prompt that fails with %s is told with the way out", async (code, action) => {
  const { conversation, posted } = world({
    "session/new": () => ({ sessionId }),
    "session/prompt": () => Promise.reject(refusal(code, "It failed.")),
  });
  await conversation.submit("Hi");
  const failure = { code, message: "It failed." };
  expect(posted.slice(1)).toEqual([
    { type: "failed", failure, ...(action ? { action } : {}) },
    { type: "prompt_settled" },
  ]);
});

test("what happens while a session loads comes after it; deltas in it are not told twice", async () => {
  let finish = (_: unknown) => {};
  const { conversation, posted } = world({
    "session/load": () => new Promise((resolve) => (finish = resolve)),
  });
  const events = say.numbered([say.started("Hi"), { type: "step_started", turnId: say.turnId, step: 1 }]);
  const later = say.numbered([say.block(1, 0, { type: "text", text: "Hello" })], 3);
  const delta: SessionUpdate = { type: "text_delta", turnId: say.turnId, index: 0, text: "Hel" };
  const loading = conversation.open(sessionId);
  conversation.update(sessionId, [...events, delta, ...later]);
  finish({ events, live: [delta], running: true });
  await loading;
  conversation.update(sessionId, [delta]);
  expect(posted).toEqual([
    { type: "session", sessionId, events, live: [delta] },
    { type: "updates", sessionId, updates: later },
    { type: "updates", sessionId, updates: [delta] },
  ]);
});

test("of two sessions opened at once, the second is shown", async () => {
  const other = "s2" as SessionId;
  const finish = new Map<string, (value: unknown) => void>();
  const { conversation, posted } = world({
    "session/load": ({ sessionId: id }: { sessionId: string }) =>
      new Promise((resolve) => {
        finish.set(id, resolve);
      }),
  });
  const both = [conversation.open(sessionId), conversation.open(other)];
  finish.get(other)?.({ events: [], live: [], running: false });
  finish.get(sessionId)?.({ events: [], live: [], running: false });
  await Promise.all(both);
  expect(posted).toEqual([{ type: "session", sessionId: other, events: [], live: [] }]);
});

test("a remembered session that is gone gives the empty state", async () => {
  const { conversation, posted, memory } = world(
    {
      "model/list": () => list("recorded/tour"),
      "session/load": () => Promise.reject(refusal("unknown_session", "There is no such session.")),
    },
    {},
    [["session", sessionId]],
  );
  await conversation.show();
  expect(posted).toContainEqual({ type: "session", sessionId: undefined, events: [], live: [] });
  expect(types(posted)).not.toContain("failed");
  expect(memory.has("session")).toBe(false);
});

test("after a restart of the host the session is read again, and the user is told", async () => {
  const events = say.numbered([say.started("Hi")]);
  const { conversation, posted, running } = world(
    { "model/list": () => list("recorded/tour"), "session/load": () => ({ events, live: [], running: false }) },
    {},
    [["session", sessionId]],
  );
  conversation.update(sessionId, events);
  conversation.hostStopped();
  await conversation.hostRestarted();
  expect(running).toEqual([true, false]);
  expect(posted).toContainEqual({ type: "session", sessionId, events, live: [] });
  expect(posted.at(-1)?.type).toBe("notice");
});

test("a new key takes the place of the recording, and the choice is remembered", async () => {
  const [sonnet] = say.models;
  const { conversation, asked, posted, memory } = world(
    {
      "credential/set": () => list("recorded/tour"),
      "model/select": ({ model }: { model: string }) => list(model),
    },
    { askForKey: async () => ({ name: "anthropic", value: "sk-secret" }) },
  );
  await conversation.setApiKey();
  expect(asked.at(-1)).toBe(`model/select {"model":"${sonnet?.id}"}`);
  expect(memory.get("model")).toBe(sonnet?.id);
  expect(JSON.stringify(posted)).not.toContain("sk-secret");
});

test("the model that was chosen earlier is chosen again, if it can be used", async () => {
  const answers: Answers = {
    "model/list": () => list("anthropic/claude-sonnet-5-5"),
    "model/select": ({ model }: { model: string }) => list(model),
  };
  const ready = world(answers, {}, [["model", "ollama/qwen3"]]);
  await ready.conversation.refreshModels();
  expect(ready.conversation.models?.selected).toBe("ollama/qwen3");
  const locked = world(answers, {}, [["model", "openai/gpt-6.1-sol"]]);
  await locked.conversation.refreshModels();
  expect(locked.conversation.models?.selected).toBe("anthropic/claude-sonnet-5-5");
});

test("the last turn that changed files and is not undone yet is undone", async () => {
  const events = say.numbered([
    say.started("Hi"),
    say.changed("c1", "a.ts", 1, 1),
    { type: "turn_finished", turnId: say.turnId, stopReason: "end_turn" },
  ]);
  const loaded = { events, live: [], running: false };
  const { conversation, asked } = world({ "session/load": () => loaded, "session/undo": () => ({ files: [] }) });
  expect(await conversation.undoLast()).toBe(false);
  await conversation.open(sessionId);
  expect(await conversation.undoLast()).toBe(true);
  expect(asked.at(-1)).toBe(`session/undo ${JSON.stringify({ sessionId, turnId: say.turnId })}`);
});

test("a session is shown by its newest turns, and by twice as many as there are when earlier ones are wanted", async () => {
  const loaded = { events: [], live: [], running: false, hasEarlier: true };
  const { conversation, asked, posted } = world({ "session/load": () => loaded }, {}, [["session", "s1"]]);
  await conversation.open("s1" as SessionId);
  await conversation.showEarlier(14);
  await conversation.open("s2" as SessionId);
  expect(asked.map((line) => JSON.parse(line.replace("session/load ", "")).turns)).toEqual([5, 28, 5]);
  expect(posted.every((message) => message.type === "session" && message.hasEarlier)).toBe(true);
});
