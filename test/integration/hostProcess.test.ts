/** The shipped host over its real protocol: a turn, code actions, tasks, cancelling, and being killed. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { MessageConnection } from "vscode-jsonrpc/node";
import * as clientMethods from "../../server/src/protocol/clientMethods.ts";
import type { SessionEvent } from "../../server/src/protocol/events.ts";
import * as methods from "../../server/src/protocol/methods.ts";
import { type RunTaskResult, runTaskCommand } from "../../server/src/protocol/tasks.ts";
import type { BudgetQuestion, SessionId } from "../../server/src/protocol/types.ts";
import { type ModelDouble, type Script, startModelDouble } from "../support/modelDouble.ts";
import { noneLeft, startHost } from "../support/processes.ts";
import {
  readRefactorFiles,
  refactorExpected,
  refactorPrompt,
  refactorScript,
  writeRefactorFiles,
} from "../support/refactorTask.ts";

let root: string;
let double: ModelDouble;
let env: NodeJS.ProcessEnv;

async function begin(script: Script): Promise<void> {
  double = await startModelDouble({ script });
  env = {
    HOME: join(root, "home"),
    HERMES_HOME: join(root, "home"),
    ANTHROPIC_BASE_URL: double.anthropicBaseUrl,
    ANTHROPIC_API_KEY: "test-key",
    HERMES_TEST_MARK: root,
  };
}

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "hermes-host-"));
  await writeRefactorFiles(join(root, "work"), { saved: true });
});

afterEach(async () => {
  await double.close();
  await rm(root, { recursive: true, force: true });
});

const work = () => join(root, "work");
const prompt = (sessionId: SessionId, text: string) => ({
  sessionId,
  prompt: [{ type: "text" as const, text }],
  origin: "panel" as const,
});

test("a turn over the protocol edits the files; its updates are its journal", async () => {
  await begin(refactorScript);
  await using host = await startHost({ root: work(), env });
  const { sessionId } = await host.connection.sendRequest(methods.newSession, {});
  const result = await host.connection.sendRequest(methods.promptSession, prompt(sessionId, refactorPrompt));
  expect(result).toMatchObject({ stopReason: "end_turn" });
  expect(await readRefactorFiles(work())).toEqual(refactorExpected);
  const announced = host.updates.filter((update): update is SessionEvent => "seq" in update);
  const journal = await readFile(join(root, "home/sessions", `${sessionId}.jsonl`), "utf8");
  const stored = journal
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line, (key, value) => (key === "_batch" ? undefined : value)));
  expect(announced).toEqual(stored);
  const loaded = await host.connection.sendRequest(methods.loadSession, { sessionId });
  expect(loaded).toEqual({ events: announced, live: [], running: false });
  const { sessions } = await host.connection.sendRequest(methods.listSessions, { query: "rename everywhere" });
  expect(sessions).toMatchObject([{ sessionId, turns: 1 }]);
  double.assertClean();
});

test("a code action's command runs as a task, shown as progress and revealed", async () => {
  await begin({ steps: [{ say: "Fixed." }] });
  const progress: string[] = [];
  let revealed: ((id: SessionId) => void) | undefined;
  const reveal = new Promise<SessionId>((resolve) => {
    revealed = resolve;
  });
  await using host = await startHost({
    root: work(),
    env,
    prepare: (connection) => {
      connection.onNotification("$/progress", ({ value }) => {
        progress.push(value.kind);
      });
      connection.onNotification(clientMethods.revealSession, ({ sessionId }) => revealed?.(sessionId));
    },
  });
  const uri = pathToFileURL(join(work(), "src/main.ts")).href;
  const range = { start: { line: 3, character: 0 }, end: { line: 3, character: 7 } };
  const actions = await host.connection.sendRequest<
    { title: string; command: { command: string; arguments: unknown[] } }[]
  >("textDocument/codeAction", {
    textDocument: { uri },
    range,
    context: { diagnostics: [{ range, message: "console is not defined", severity: 1, source: "ts" }] },
  });
  expect(actions.map(({ title, command }) => [title, command.command])).toEqual([
    ["Fix with Hermes: console is not defined", "hermes.runTask"],
    ["Explain with Hermes", "hermes.runTask"],
    ["Refactor selection with Hermes…", "hermes.refactorSelection"],
  ]);
  const { sessionId } = await host.connection.sendRequest<RunTaskResult>(
    "workspace/executeCommand",
    actions[0]?.command,
  );
  expect(await reveal).toBe(sessionId);
  await host.until((update) => update.type === "turn_finished");
  const started = host.updates.find((update) => update.type === "turn_started");
  expect(started).toMatchObject({
    origin: "code_action",
    prompt: [{ type: "text" }, { type: "reference", label: "src/main.ts:4" }],
  });
  expect(progress[0]).toBe("begin");
});

test("a key that is taken back leaves the one of the environment", async () => {
  await begin({ steps: [] });
  await using host = await startHost({ root: work(), env: { ...env, OPENAI_API_KEY: "" } });
  const stateOf = async (name: "anthropic" | "openai", value?: string) => {
    const params = { name, ...(value === undefined ? {} : { value }) };
    const { models } = await host.connection.sendRequest(methods.setCredential, params);
    return models.find(({ credential }) => credential === name)?.state;
  };
  expect(await stateOf("openai", "entered")).toBe("ready");
  expect(await stateOf("openai")).toBe("needs_key");
  expect(await stateOf("anthropic", "entered")).toBe("ready");
  expect(await stateOf("anthropic")).toBe("ready");
});

test("a turn waits at a limit over the protocol: raised, told in the ledger, and ended by a cancel", async () => {
  await begin({ steps: [{ say: "One.", calls: [{ name: "list", input: {} }] }, { say: "Two." }, { say: "Three." }] });
  const questions: BudgetQuestion[] = [];
  const asked = Promise.withResolvers<void>();
  const withdrawn = Promise.withResolvers<void>();
  await using host = await startHost({
    root: work(),
    env,
    initialization: { settings: { budget: { session: { requests: 1 } } } },
    prepare: (connection) =>
      connection.onRequest(
        clientMethods.requestBudget,
        async (question, token): Promise<clientMethods.BudgetResult> => {
          questions.push(question);
          if (questions.length === 1) return { choice: { type: "raise", limit: question.proposed } };
          // The second one is never answered: the host takes it back.
          token.onCancellationRequested(() => withdrawn.resolve());
          asked.resolve();
          return new Promise(() => undefined);
        },
      ),
  });
  const { connection } = host;
  const { sessionId } = await connection.sendRequest(methods.newSession, {});
  expect(await connection.sendRequest(methods.promptSession, prompt(sessionId, "x"))).toMatchObject({
    stopReason: "end_turn",
  });
  expect(questions).toMatchObject([
    { sessionId, reached: { period: "session", unit: "requests", limit: 1, spent: 1 } },
  ]);
  const limitsNow = async () => (await connection.sendRequest(methods.costSummary, { months: 1, sessionId })).limits;
  expect(await limitsNow()).toEqual([{ period: "session", unit: "requests", configured: 1, limit: 2, spent: 2 }]);
  const second = connection.sendRequest(methods.promptSession, prompt(sessionId, "y"));
  await asked.promise;
  // A page that is opened now is told of the question.
  const { events, running } = await connection.sendRequest(methods.loadSession, { sessionId });
  expect([events.at(-1)?.type, running]).toEqual(["budget_reached", true]);
  await connection.sendNotification(methods.cancelSession, { sessionId });
  expect(await second).toMatchObject({ stopReason: "cancelled" });
  await withdrawn.promise;
  await connection.sendRequest(methods.raiseLimit, { period: "session", unit: "requests", limit: 9, sessionId });
  expect(await limitsNow()).toMatchObject([{ configured: 1, limit: 9 }]);
  expect(await connection.sendRequest(methods.promptSession, prompt(sessionId, "z"))).toMatchObject({
    stopReason: "end_turn",
  });
});

test("errors say what is wrong, with a code", async () => {
  await begin({ steps: [] });
  await using host = await startHost({ root: work(), env });
  const { sessionId } = await host.connection.sendRequest(methods.newSession, {});
  const failing = (request: Promise<unknown>) =>
    request.then(
      () => "resolved",
      (error) => [error.data?.code, error.message],
    );
  expect(
    await failing(host.connection.sendRequest(methods.loadSession, { sessionId: "nope" as SessionId })),
  ).toMatchObject(["unknown_session", expect.any(String)]);
  expect(
    await failing(host.connection.sendRequest(methods.promptSession, { ...prompt(sessionId, "x"), prompt: [] })),
  ).toMatchObject(["empty_prompt", expect.any(String)]);
  expect(
    await failing(host.connection.sendRequest(methods.promptSession, { ...prompt(sessionId, "x"), model: "nonsense" })),
  ).toMatchObject(["unknown_model", expect.stringContaining("nonsense")]);
});

describe("cancelling", () => {
  test("the request cancels the turn, its command and all processes", async () => {
    await begin({ steps: [{ calls: [{ name: "shell", input: { command: "echo ready; sleep 1000 & sleep 1000" } }] }] });
    await using host = await startHost({ root: work(), env });
    const { sessionId } = await host.connection.sendRequest(methods.newSession, {});
    const turn = host.connection.sendRequest(methods.promptSession, prompt(sessionId, "wait"));
    await host.until((update) => update.type === "tool_output_delta" && update.text.includes("ready"));
    await host.connection.sendNotification(methods.cancelSession, { sessionId });
    expect(await turn).toMatchObject({ stopReason: "cancelled" });
    const results = host.updates.filter((update) => update.type === "tool_result");
    expect(results).toMatchObject([{ isError: true, text: expect.stringContaining("Cancelled") }]);
  });
});

/** What must be true after any kill: the session is whole, each call has one result, no process is left. */
async function expectWhole(sessionId: SessionId): Promise<void> {
  await noneLeft(root);
  await using host = await startHost({ root: work(), env });
  const { events, running } = await host.connection.sendRequest(methods.loadSession, { sessionId });
  expect(running).toBe(false);
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1));
  expect(events.at(-1)).toMatchObject({
    type: "turn_finished",
    stopReason: "error",
    failure: { code: "host_stopped" },
  });
  const calls = events.flatMap((event) =>
    event.type === "assistant_block" && event.block.part.type === "tool_call" ? [event.block.part.callId] : [],
  );
  const results = events.flatMap((event) => (event.type === "tool_result" ? [event.callId] : []));
  expect(results.toSorted()).toEqual(calls.toSorted());
  const again = await host.connection.sendRequest(methods.promptSession, prompt(sessionId, "go on"));
  expect(again).toMatchObject({ stopReason: "end_turn" });
  double.assertClean();
}

describe("killed with SIGKILL", () => {
  test("while the model streams", async () => {
    await begin({
      steps: [
        { say: "I begin to write a long answer.", hold: { name: "mid", at: { text: 12 } } },
        { say: "Here I go on." },
      ],
    });
    await using host = await startHost({ root: work(), env });
    const { sessionId } = await host.connection.sendRequest(methods.newSession, {});
    host.connection.sendRequest(methods.promptSession, prompt(sessionId, "talk")).catch(() => undefined);
    await host.until((update) => update.type === "text_delta");
    process.kill(host.pid, "SIGKILL");
    await host.ended;
    double.release("mid");
    await expectWhole(sessionId);
  });

  test("while a command with children runs", async () => {
    await begin({
      steps: [
        {
          calls: [
            { name: "read", input: { files: [{ path: "README.md" }] } },
            { name: "shell", input: { command: "(sleep 1000; echo never) & echo ready; sleep 1000" } },
          ],
        },
        { say: "Here I go on." },
      ],
    });
    await using host = await startHost({ root: work(), env });
    const { sessionId } = await host.connection.sendRequest(methods.newSession, {});
    host.connection.sendRequest(methods.promptSession, prompt(sessionId, "run")).catch(() => undefined);
    await host.until((update) => update.type === "tool_output_delta" && update.text.includes("ready"));
    process.kill(host.pid, "SIGKILL");
    await host.ended;
    await expectWhole(sessionId);
  });

  test("the editor goes away: the host ends by itself, with everything it started", async () => {
    await begin({ steps: [{ calls: [{ name: "shell", input: { command: "echo ready; sleep 1000" } }] }] });
    await using host = await startHost({ root: work(), env });
    const { sessionId } = await host.connection.sendRequest(methods.newSession, {});
    host.connection.sendRequest(methods.promptSession, prompt(sessionId, "run")).catch(() => undefined);
    await host.until((update) => update.type === "tool_output_delta" && update.text.includes("ready"));
    host.child.stdin?.destroy();
    host.child.stdout?.destroy();
    await host.ended;
    await noneLeft(root);
  });
});

describe("an editor that is not as expected", () => {
  const shown: string[] = [];
  const listen = (connection: MessageConnection) => {
    shown.length = 0;
    connection.onNotification("window/showMessage", ({ message }) => void shown.push(message));
  };

  test("wrong settings are told and their defaults used, at the start and later", async () => {
    await begin({ steps: [{ say: "Hello." }] });
    const settings = {
      model: { name: "anthropic/claude-sonnet-5-5" },
      turn: { maxSteps: "many" },
      execution: { parallel: { maxConcurrentTools: 1000 } },
    };
    // Nobody answers questions here: that a message can be shown must not depend on it.
    await using host = await startHost({ root: work(), env, initialization: { settings }, prepare: listen });
    const { sessionId } = await host.connection.sendRequest(methods.newSession, {});
    await host.connection.sendNotification("workspace/didChangeConfiguration", { settings: null });
    await host.connection.sendNotification("workspace/didChangeConfiguration", {
      settings: { hermes: { "turn.maxSteps": -1, permissions: { rules: ["forbid shell(rm *)", "deny shell(rm *)"] } } },
    });
    const result = await host.connection.sendRequest(methods.promptSession, prompt(sessionId, "hello"));
    expect(result).toMatchObject({ stopReason: "end_turn" });
    expect(shown.map((message) => message.split(" must b")[0])).toEqual([
      "Hermes: hermes.turn.maxSteps",
      "Hermes: hermes.execution.parallel.maxConcurrentTools",
      "Hermes: hermes.turn.maxSteps",
      `Hermes: The permission rule "forbid shell(rm *)" in hermes.permissions.rules is left out: it`,
    ]);
  });

  test("a folder that is not on this machine, a cancel of nothing and a task without a name are refused", async () => {
    await begin({ steps: [] });
    await using host = await startHost({ root: work(), env, folder: "vscode-vfs://github/someone/something" });
    await host.connection.sendNotification(methods.cancelSession, { sessionId: "none" as SessionId });
    await expect(host.connection.sendRequest(methods.listSessions, {})).rejects.toMatchObject({
      data: { code: "no_folder" },
    });
    await using other = await startHost({ root: work(), env });
    await other.connection.sendNotification(methods.cancelSession, { sessionId: "none" as SessionId });
    for (const given of [[], [{ task: "toString" }]]) {
      const command = { command: runTaskCommand, arguments: given };
      await expect(other.connection.sendRequest("workspace/executeCommand", command)).rejects.toMatchObject({
        data: { code: "incomplete_task" },
      });
    }
  });
});
