/** Configuration files through the shipped host and terminal: who wins, what is shown, what applies at once. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { MessageConnection } from "vscode-jsonrpc/node";
import * as clientMethods from "../../server/src/protocol/clientMethods.ts";
import * as methods from "../../server/src/protocol/methods.ts";
import { type ModelDouble, startModelDouble } from "../support/modelDouble.ts";
import { runHermes, startHost } from "../support/processes.ts";

let root: string;
let double: ModelDouble;
let env: NodeJS.ProcessEnv;

const haiku = "anthropic/claude-haiku-5-5";
const opus = "anthropic/claude-opus-5-5";
const workspaceFile = () => join(root, "work/.hermes/config.yaml");
const userFile = () => join(root, "home/config.yaml");

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "hermes-config-"));
  for (const folder of ["work/.hermes", "home"]) await mkdir(join(root, folder), { recursive: true });
  double = await startModelDouble({ script: { steps: [{ say: "Hello." }] } });
  env = {
    HOME: join(root, "home"),
    HERMES_HOME: join(root, "home"),
    ANTHROPIC_BASE_URL: double.anthropicBaseUrl,
    ANTHROPIC_API_KEY: "test-key",
  };
});

afterEach(async () => {
  await double.close();
  await rm(root, { recursive: true, force: true });
});

interface Shown {
  readonly uri: string;
  readonly diagnostics: readonly { readonly message: string; readonly range: { readonly start: object } }[];
}

/** What the editor is told, and waiting for it. */
function listen() {
  const shown: Shown[] = [];
  const messages: string[] = [];
  const opened: unknown[] = [];
  const watched: unknown[] = [];
  let wake = () => {};
  const until = async <T>(find: () => T | undefined): Promise<T> => {
    for (;;) {
      const found = find();
      if (found !== undefined) return found;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  const prepare = (connection: MessageConnection) => {
    connection.onNotification("textDocument/publishDiagnostics", (params) => {
      shown.push(params);
      wake();
    });
    connection.onRequest("window/showMessageRequest", ({ message, actions }) => {
      messages.push(message);
      wake();
      return actions[0];
    });
    connection.onRequest("window/showDocument", (params) => {
      opened.push(params);
      wake();
      return { success: true };
    });
    connection.onRequest("client/registerCapability", ({ registrations }) => {
      watched.push(...registrations);
      wake();
      return null;
    });
    connection.onNotification(clientMethods.modelsChanged, () => wake());
  };
  return { shown, messages, opened, watched, until, prepare };
}

async function selected(connection: MessageConnection): Promise<string> {
  return (await connection.sendRequest(methods.listModels, {})).selected;
}

function changed(connection: MessageConnection, path: string): Promise<void> {
  const changes = [{ uri: pathToFileURL(path).href, type: 2 }];
  return connection.sendNotification("workspace/didChangeWatchedFiles", { changes });
}

test("the editor's settings count before the folder's file, that before the user's; a saved change applies at once", async () => {
  await writeFile(userFile(), `model:\n  name: ${haiku}\n`);
  const editor = listen();
  await using host = await startHost({ root: join(root, "work"), env, prepare: editor.prepare });
  const { connection } = host;
  expect(await selected(connection)).toBe(haiku);
  expect(JSON.stringify(await editor.until(() => editor.watched[0]))).toContain(".hermes/{config,performance}.yaml");

  await writeFile(workspaceFile(), `model:\n  name: ${opus}\n`);
  await changed(connection, workspaceFile());
  expect(await selected(connection)).toBe(opus);

  const settings = { hermes: { "model.name": "anthropic/claude-sonnet-5-5" } };
  await connection.sendNotification("workspace/didChangeConfiguration", { settings });
  expect(await selected(connection)).toBe("anthropic/claude-sonnet-5-5");
  await connection.sendNotification("workspace/didChangeConfiguration", { settings: { hermes: {} } });
  expect(await selected(connection)).toBe(opus);

  await rm(workspaceFile());
  await changed(connection, workspaceFile());
  expect(await selected(connection)).toBe(haiku);
});

test("a file that goes wrong keeps what it said, is shown by line and column, and said once with a way to it", async () => {
  await writeFile(workspaceFile(), `model:\n  name: ${opus}\n`);
  const editor = listen();
  await using host = await startHost({ root: join(root, "work"), env, prepare: editor.prepare });
  const { connection } = host;
  expect(await selected(connection)).toBe(opus);

  await writeFile(workspaceFile(), `model:\n  name: ${haiku}\nturn:\n  maxSteps: many\n`);
  await changed(connection, workspaceFile());
  const { uri, diagnostics } = await editor.until(() => editor.shown.find((entry) => entry.diagnostics.length > 0));
  expect(uri).toBe(pathToFileURL(workspaceFile()).href);
  expect(diagnostics).toMatchObject([
    {
      message: expect.stringContaining("turn.maxSteps must be a number"),
      range: { start: { line: 3, character: 12 } },
    },
  ]);
  expect(await selected(connection)).toBe(opus);
  expect(await editor.until(() => editor.opened[0])).toMatchObject({
    uri,
    selection: { start: { line: 3, character: 12 } },
  });
  await changed(connection, workspaceFile());
  expect(await selected(connection)).toBe(opus);
  expect(editor.messages).toHaveLength(1);
  expect(editor.messages[0]).toContain("what it said before still holds");

  await writeFile(workspaceFile(), `model:\n  name: ${haiku}\n`);
  await changed(connection, workspaceFile());
  await editor.until(() => editor.shown.findLast(() => true)?.diagnostics.length === 0 || undefined);
  expect(await selected(connection)).toBe(haiku);
});

test("the text in the editor is checked as it is typed, and applied when it is saved", async () => {
  const editor = listen();
  await using host = await startHost({ root: join(root, "work"), env, prepare: editor.prepare });
  const { connection } = host;
  const uri = pathToFileURL(userFile()).href;
  const open = { uri, languageId: "yaml", version: 1, text: "colour: red\n" };
  await connection.sendNotification("textDocument/didOpen", { textDocument: open });
  const first = await editor.until(() => editor.shown.find((entry) => entry.diagnostics.length > 0));
  expect(first.diagnostics[0]?.message).toContain("no setting colour");
  const text = `model:\n  name: ${opus}\n`;
  const change = { textDocument: { uri, version: 2 }, contentChanges: [{ text }] };
  await connection.sendNotification("textDocument/didChange", change);
  await editor.until(() => editor.shown.findLast(() => true)?.diagnostics.length === 0 || undefined);
  expect(await selected(connection)).not.toBe(opus);
  await writeFile(userFile(), text);
  await connection.sendNotification("textDocument/didSave", { textDocument: { uri } });
  expect(await selected(connection)).toBe(opus);
});

test("the file of a folder that is not trusted is not read until it is", async () => {
  await writeFile(workspaceFile(), `model:\n  name: ${opus}\n`);
  await writeFile(userFile(), `model:\n  name: ${haiku}\n`);
  await using host = await startHost({ root: join(root, "work"), env, initialization: { trusted: false } });
  expect(await selected(host.connection)).toBe(haiku);
  await host.connection.sendNotification(methods.didGrantTrust, {});
  expect(await selected(host.connection)).toBe(opus);
});

test("a file is made with everything explained in it, and one that is there is left alone", async () => {
  await writeFile(userFile(), "# mine\n");
  await using host = await startHost({ root: join(root, "work"), env });
  const made = await host.connection.sendRequest(methods.openConfig, { owner: "workspace" });
  expect(made.uri).toBe(pathToFileURL(workspaceFile()).href);
  expect(await readFile(workspaceFile(), "utf8")).toContain("#   maxSteps: 100");
  await host.connection.sendRequest(methods.openConfig, { owner: "user" });
  expect(await readFile(userFile(), "utf8")).toBe("# mine\n");
});

test("the terminal takes the same files, says what is wrong in them with its place, and goes on", async () => {
  await writeFile(workspaceFile(), "model: {name: 7}\n");
  await writeFile(userFile(), `model:\n  name: ${haiku}\n`);
  const { code, stdout, stderr } = await runHermes(["run", "Hello"], { cwd: join(root, "work"), env });
  expect([code, stdout]).toEqual([0, "Hello.\n"]);
  expect(stderr).toContain(`${workspaceFile()}:1:15: model.name must be a string; it is 7.`);
  expect(stderr).toContain(`nothing of ${workspaceFile()} is used`);
  expect(JSON.parse(String(double.requests[0]?.body))).toMatchObject({ model: "claude-haiku-5-5" });
});
