/**
 * Entry point for editors: binds the host's methods to an LSP connection and picks the local adapters.
 *
 * Not here: any logic of sessions, models or tools. Easily got wrong: with stdio nothing else may be written to standard
 * output, and when the editor goes away (end of input) the host ends, with everything it has started.
 */
import { fileURLToPath, pathToFileURL } from "node:url";
import {
  type CancellationToken,
  CancellationTokenSource,
  createConnection,
  DidChangeWatchedFilesNotification,
  ErrorCodes,
  type InitializeParams,
  type InitializeResult,
  MessageType,
  ProposedFeatures,
  type RequestParam,
  type RequestType,
  ResponseError,
  ShowMessageNotification,
  TextDocumentSyncKind,
  TextDocuments,
} from "vscode-languageserver/node";
import { TextDocument } from "vscode-languageserver-textdocument";
import { messageOf, RequestError, ToolError } from "../base/errors.ts";
import { log, onLog } from "../base/trace.ts";
import { keyVariables, processEnvironment, readConfig } from "../config.ts";
import * as clientMethods from "../protocol/clientMethods.ts";
import * as methods from "../protocol/methods.ts";
import { type RunTaskResult, runTaskCommand, type TaskArguments, type TaskName } from "../protocol/tasks.ts";
import type { Json } from "../protocol/types.ts";
import { codeActionKinds, codeActionsFor } from "./codeActions.ts";
import { ConfigEditor } from "./configEditor.ts";
import { createConfigFile } from "./configFiles.ts";
import { summariseCost } from "./cost.ts";
import { createEditorPort, createNotebookPort } from "./editorPort.ts";
import { createLocalHost, type LocalHost } from "./local.ts";
import { createCoalescer } from "./updates.ts";
import { version } from "./version.ts";

const connection = createConnection(ProposedFeatures.all);
const documents = new TextDocuments(TextDocument);
const editor = createEditorPort(connection, documents, { canRename: () => canRename });
const environment = processEnvironment();
const coalescer = createCoalescer({
  send: (sessionId, updates) => sent(connection.sendNotification(clientMethods.sessionUpdate, { sessionId, updates })),
  after: (ms, run) => {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
});

/** Whether the client watches files on request. */
let canWatch = false;
/** Whether it has been asked to watch everything. */
let watchesFiles = false;
/** Whether the editor can rename files in a workspace edit. */
let canRename = false;
let local: Promise<LocalHost> | undefined;
let configuration: ConfigEditor | undefined;
let options: methods.InitializationOptions = { credentials: {}, settings: {}, trusted: false };

onLog(({ level, message, error }) => {
  const text = error === undefined ? message : `${message}\n${error instanceof Error ? error.stack : String(error)}`;
  if (level === "error") connection.console.error(text);
  else if (level === "warn") connection.console.warn(text);
  else if (level === "info") connection.console.info(text);
  else connection.console.debug(text);
});

// A promise that nobody awaited, here or in a library, must not end the turns of every session.
process.on("unhandledRejection", (error) => log("error", "Something failed that nobody waited for", error));

connection.onInitialize((params: InitializeParams): InitializeResult => {
  options = { ...options, ...(params.initializationOptions as Partial<methods.InitializationOptions> | undefined) };
  canWatch = params.capabilities.workspace?.didChangeWatchedFiles?.dynamicRegistration === true;
  canRename = params.capabilities.workspace?.workspaceEdit?.resourceOperations?.includes("rename") === true;
  const folder = params.workspaceFolders?.[0]?.uri;
  const root = folder?.startsWith("file:") ? fileURLToPath(folder) : undefined;
  local = createHost(root);
  // Nobody awaits it until the first request; a failure is told there.
  local.catch(() => undefined);
  return {
    serverInfo: { name: "hermes", version },
    capabilities: {
      textDocumentSync: { openClose: true, change: TextDocumentSyncKind.Incremental, save: true },
      codeActionProvider: { codeActionKinds: [...codeActionKinds] },
      executeCommandProvider: { commands: [runTaskCommand], workDoneProgress: true },
      workspace: { workspaceFolders: { supported: true } },
    },
  };
});

async function createHost(root: string | undefined): Promise<LocalHost> {
  if (root === undefined) {
    throw new RequestError(
      "no_folder",
      "Hermes works on a folder of this machine, and none is open. Open one with File > Open Folder.",
    );
  }
  configuration = new ConfigEditor({
    connection,
    documents,
    environment,
    root,
    options: () => options,
    onChange: async (config) => (await local)?.configure(config),
    onProblem: (problem) => show(MessageType.Warning, problem),
  });
  return createLocalHost({
    config: await configuration.read(),
    environment,
    root,
    trusted: () => options.trusted,
    ask: async (request, signal) => (await ask(clientMethods.requestPermission, request, signal)).choice,
    askBudget: async (question, signal) => (await ask(clientMethods.requestBudget, question, signal)).choice,
    onUpdate: coalescer.push,
    onProblem: (problem) => show(MessageType.Warning, problem),
    onReview: (sessionId, files) => {
      sent(connection.sendNotification(clientMethods.reviewChanged, { sessionId, files }));
      if (files.length > 0) watchFiles();
    },
    onModelsChanged: (list) => sent(connection.sendNotification(clientMethods.modelsChanged, list)),
    editor,
    ...(options.notebooks ? { notebooks: createNotebookPort(connection) } : {}),
    exclude: options.exclude ?? [],
    ...(options.ripgrepPath === undefined ? {} : { ripgrepPath: options.ripgrepPath }),
  });
}

/** Shows the user a message. A notification, because nobody waits for an answer. */
function show(type: MessageType, message: string): void {
  sent(connection.sendNotification(ShowMessageNotification.type, { type, message: `Hermes: ${message}` }));
}

/** Lets a message go. When the editor is gone it cannot be sent, and the host is about to end. */
function sent(sending: Promise<void>): void {
  sending.catch(() => undefined);
}

/** Asks the user by way of the client. */
async function ask<P, R>(
  type: RequestType<P, R, void>,
  params: NoInfer<RequestParam<P>>,
  signal: AbortSignal,
): Promise<R> {
  const source = new CancellationTokenSource();
  const onAbort = () => source.cancel();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    signal.throwIfAborted();
    return await connection.sendRequest(type, params, source.token);
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener("abort", onAbort);
    source.dispose();
  }
}

/** Runs a request against the host; expected failures become JSON-RPC errors with their code in `data`. */
async function serve<T>(
  token: CancellationToken,
  run: (host: LocalHost, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const subscription = token.onCancellationRequested(() => controller.abort());
  try {
    if (!local) throw new RequestError("not_initialized", "The host has not been initialised.");
    const host = await local;
    await configuration?.idle();
    return await run(host, controller.signal);
  } catch (error) {
    if (error instanceof RequestError || error instanceof ToolError) {
      const code = error instanceof RequestError ? error.code : "tool";
      throw new ResponseError<Json>(ErrorCodes.InvalidRequest, error.message, { code });
    }
    connection.console.error(error instanceof Error ? (error.stack ?? error.message) : String(error));
    throw new ResponseError(ErrorCodes.InternalError, `Hermes failed: ${messageOf(error)}`);
  } finally {
    subscription.dispose();
    coalescer.flush();
  }
}

connection.onRequest(methods.newSession, (params, token) => serve(token, ({ host }) => host.newSession(params)));
connection.onRequest(methods.loadSession, (params, token) =>
  serve(token, async ({ host }) => {
    coalescer.flush();
    const loaded = await host.loadSession(params.sessionId, params.turns);
    // After the answer has gone out: this reads the whole session into memory if it is not there yet.
    setImmediate(() =>
      host.refreshReview(params.sessionId).catch((error: unknown) => connection.console.warn(messageOf(error))),
    );
    return loaded;
  }),
);
connection.onRequest(methods.listSessions, (params, token) => serve(token, ({ host }) => host.listSessions(params)));
connection.onRequest(methods.promptSession, (params, token) =>
  serve(token, ({ host }, signal) => host.prompt(params, signal)),
);
connection.onNotification(methods.cancelSession, async ({ sessionId }) => {
  const running = await local?.catch(() => undefined);
  await running?.host.cancel(sessionId);
});
connection.onRequest(methods.warmUpSession, (params, token) => serve(token, ({ host }) => host.warmUp(params)));
connection.onRequest(methods.undoTurn, (params, token) => serve(token, ({ host }) => host.undo(params)));
connection.onRequest(methods.restoreSession, (params, token) => serve(token, ({ host }) => host.restore(params)));
connection.onRequest(methods.undoRestore, (params, token) => serve(token, ({ host }) => host.undoRestore(params)));
connection.onRequest(methods.compactSession, (params, token) =>
  serve(token, ({ host }, signal) => host.compact(params, signal)),
);
connection.onRequest(methods.undoCompaction, (params, token) =>
  serve(token, ({ host }) => host.undoCompaction(params)),
);
connection.onRequest(methods.readConflict, (params, token) =>
  serve(token, ({ host }, signal) => host.readConflict(params, signal)),
);
connection.onRequest(methods.reviewSession, (params, token) =>
  serve(token, ({ host }, signal) => host.review(params, signal)),
);
connection.onRequest(methods.readBlob, (params, token) => serve(token, ({ host }) => host.readBlob(params)));
connection.onRequest(methods.notebookText, ({ uri }, token) =>
  serve(token, ({ host }, signal) => host.notebookText(uri, signal)),
);
connection.onRequest(methods.listModels, (_, token) => serve(token, ({ models }) => models.list()));
connection.onRequest(methods.selectModel, (params, token) =>
  serve(token, async ({ models }) => {
    await models.select(params.model);
    return models.list();
  }),
);
connection.onRequest(methods.costSummary, (params, token) =>
  serve(token, (running) => summariseCost(running, params.months, params.sessionId)),
);
connection.onRequest(methods.raiseLimit, (params, token) =>
  serve(token, async ({ host, limits }) => {
    await limits.raiseAtOnce(params);
    host.limitsChanged(params);
    return {};
  }),
);
connection.onRequest(methods.setCredential, (params, token) =>
  serve(token, async ({ models }) => {
    if (!(params.name in keyVariables))
      throw new RequestError("unknown_credential", `There is no key named ${params.name}.`);
    // A key that is taken back leaves the environment's, as it was before the user had set one.
    models.setCredential(params.name, params.value ?? readConfig(environment).credentials[params.name]);
    return models.list();
  }),
);
connection.onRequest(methods.openConfig, ({ owner }, token) =>
  serve(token, async () => {
    if (!configuration) throw new RequestError("no_folder", "No folder is open.");
    return { uri: pathToFileURL(await createConfigFile(configuration.files, owner)).href };
  }),
);
connection.onNotification(methods.didGrantTrust, () => {
  options = { ...options, trusted: true };
  void configuration?.refresh();
});

documents.onDidChangeContent(({ document }) => noteChanges([document.uri]));
documents.onDidClose(({ document }) => noteChanges([document.uri]));
connection.onNotification(methods.notebookChanged, ({ uri, saved }) => {
  if (saved) editor.noteSave(uri);
  noteChanges([uri]);
});
connection.onDidChangeWatchedFiles(({ changes }) => {
  const uris = changes.map(({ uri }) => uri);
  configuration?.filesChanged(uris);
  noteChanges(uris);
});
connection.onInitialized(() => {
  if (canWatch) configuration?.watch();
});

function noteChanges(uris: readonly string[]): void {
  local
    ?.then(({ host }) => host.filesChanged(uris))
    .catch((error: unknown) => connection.console.warn(messageOf(error)));
}

/** Asks to be told of changes on disk, once there is something that they could matter to. */
function watchFiles(): void {
  if (!canWatch || watchesFiles) return;
  watchesFiles = true;
  connection.client
    .register(DidChangeWatchedFilesNotification.type, { watchers: [{ globPattern: "**/*" }] })
    .catch((error: unknown) => connection.console.warn(`Files are not watched: ${messageOf(error)}`));
}

connection.onDidChangeConfiguration(async ({ settings }) => {
  options = { ...options, settings: (settings as { readonly hermes?: Json } | undefined)?.hermes ?? {} };
  await configuration?.refresh();
});

connection.onCodeAction(({ textDocument, range, context }) =>
  codeActionsFor({
    uri: textDocument.uri,
    range,
    diagnostics: context.diagnostics,
    ...(context.only ? { only: context.only } : {}),
  }),
);

connection.onExecuteCommand(async ({ command, arguments: given }, token) => {
  if (command !== runTaskCommand) throw new ResponseError(ErrorCodes.MethodNotFound, `Unknown command ${command}`);
  const task = given?.[0] as TaskArguments | undefined;
  return serve(token, async ({ host }) => {
    if (!task || !Object.hasOwn(taskTitles, task.task)) {
      const names = Object.keys(taskTitles).join(", ");
      throw new RequestError("incomplete_task", `${command} needs one argument, {task}, with one of: ${names}.`);
    }
    const progress = await connection.window.createWorkDoneProgress();
    const controller = new AbortController();
    progress.token.onCancellationRequested(() => controller.abort());
    progress.begin("Hermes", undefined, taskTitles[task.task], true);
    const started = await host.startTask(task, task.origin ?? "command", controller.signal).catch((error: unknown) => {
      progress.done();
      throw error;
    });
    sent(connection.sendNotification(clientMethods.revealSession, { sessionId: started.sessionId }));
    void started.done
      .catch((error: unknown) => show(MessageType.Error, messageOf(error)))
      .finally(() => progress.done());
    return { sessionId: started.sessionId } satisfies RunTaskResult;
  });
});

const taskTitles: { readonly [task in TaskName]: string } = {
  fix: "Fixing a problem",
  fix_file: "Fixing all problems in the file",
  explain: "Explaining",
  refactor: "Refactoring",
  write_tests: "Writing tests",
  review_changes: "Reviewing your changes",
  ask: "Answering",
};

connection.onShutdown(async () => {
  const host = await local?.catch(() => undefined);
  await host?.close();
  coalescer.flush();
});

documents.listen(connection);
connection.listen();
