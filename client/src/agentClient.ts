/**
 * Starts the host as a language server, starts it again when it stops, and passes typed messages to and from it.
 *
 * Not here: what messages mean. Easily got wrong: the language client library is big, so it is loaded when the host is
 * started and never while the extension activates; and requests made meanwhile wait for the host instead of failing.
 */
import {
  type CancellationToken,
  CancellationTokenSource,
  type Disposable,
  type Event,
  EventEmitter,
  env,
  type LogOutputChannel,
  workspace,
} from "vscode";
import type { NotificationType, RequestParam, RequestType } from "vscode-jsonrpc";
import type { ApplyWorkspaceEditParams, CloseHandlerResult, LanguageClient } from "vscode-languageclient/node";
import {
  type BudgetResult,
  type DocumentDiagnosticsParams,
  type DocumentDiagnosticsResult,
  type DocumentEncodingParams,
  type DocumentEncodingResult,
  documentDiagnostics,
  documentEncoding,
  type EditNotebookParams,
  type EditNotebookResult,
  editNotebook,
  type FormatDocumentParams,
  type FormatDocumentResult,
  formatDocument,
  modelsChanged,
  type PermissionResult,
  type ReadNotebookParams,
  type ReadNotebookResult,
  type ReviewChangedParams,
  readNotebook,
  requestBudget,
  requestPermission,
  revealSession,
  reviewChanged,
  type SaveDocumentParams,
  type SaveDocumentResult,
  saveDocument,
  sessionUpdate,
  type UpdateParams,
} from "../../server/src/protocol/clientMethods.ts";
import { didGrantTrust, type InitializationOptions, type ListModelsResult } from "../../server/src/protocol/methods.ts";
import type { HostState } from "../../server/src/protocol/panel.ts";
import type { BudgetQuestion, Json, PermissionRequest, SessionId } from "../../server/src/protocol/types.ts";
import type { RestartDecision } from "./restartPolicy.ts";

/** How the host is, and why where that matters. */
export interface HostStatus {
  readonly state: HostState;
  readonly message?: string;
}

/** What the connection needs from the extension. */
export interface AgentClientDeps {
  /** Absolute path of the host's bundle. */
  readonly serverModule: string;
  readonly log: LogOutputChannel;
  /** Full names of all settings, as in the manifest. */
  readonly settingNames: readonly string[];
  readonly credentials: () => Promise<InitializationOptions["credentials"]>;
  readonly decideRestart: () => RestartDecision;
  readonly requestPermission: (request: PermissionRequest, token: CancellationToken) => Promise<PermissionResult>;
  readonly requestBudget: (question: BudgetQuestion, token: CancellationToken) => Promise<BudgetResult>;
  readonly formatDocument: (params: FormatDocumentParams, token: CancellationToken) => Promise<FormatDocumentResult>;
  readonly documentDiagnostics: (
    params: DocumentDiagnosticsParams,
    token: CancellationToken,
  ) => Promise<DocumentDiagnosticsResult>;
  readonly isEditCurrent: (params: ApplyWorkspaceEditParams) => boolean;
  readonly saveDocument: (params: SaveDocumentParams) => Promise<SaveDocumentResult>;
  readonly documentEncoding: (params: DocumentEncodingParams) => DocumentEncodingResult;
  readonly readNotebook: (params: ReadNotebookParams) => Promise<ReadNotebookResult>;
  readonly editNotebook: (params: EditNotebookParams) => Promise<EditNotebookResult>;
}

/** The connection to the host. Dispose it to end the host. */
export class AgentClient implements Disposable {
  readonly #deps: AgentClientDeps;
  readonly #status = new EventEmitter<HostStatus>();
  readonly #updates = new EventEmitter<UpdateParams>();
  readonly #models = new EventEmitter<ListModelsResult>();
  readonly #reviews = new EventEmitter<ReviewChangedParams>();
  readonly #reveals = new EventEmitter<SessionId>();
  readonly #restarts = new EventEmitter<void>();
  readonly #subscriptions: readonly Disposable[];
  #current: HostStatus = { state: "starting" };
  #client: LanguageClient | undefined;
  #started: Promise<void> | undefined;
  #credentials: InitializationOptions["credentials"] = {};
  #disposed = false;

  /** The host's state changed. */
  readonly onDidChangeStatus: Event<HostStatus> = this.#status.event;
  /** Something happened in a session. */
  readonly onDidUpdate: Event<UpdateParams> = this.#updates.event;
  /** The models that can be used, or the selected one, changed. */
  readonly onDidChangeModels: Event<ListModelsResult> = this.#models.event;
  /** Something else is pending in a session. */
  readonly onDidChangeReview: Event<ReviewChangedParams> = this.#reviews.event;
  /** The host asks to show a session. */
  readonly onDidReveal: Event<SessionId> = this.#reveals.event;
  /** The host stopped by itself and runs again. */
  readonly onDidRestart: Event<void> = this.#restarts.event;

  constructor(deps: AgentClientDeps) {
    this.#deps = deps;
    this.#subscriptions = [
      workspace.onDidGrantWorkspaceTrust(() => void this.#client?.sendNotification(didGrantTrust, {})),
      workspace.onDidChangeConfiguration((change) => {
        if (!change.affectsConfiguration("hermes")) return;
        const settings = { hermes: this.#givenSettings() };
        void this.#client?.sendNotification("workspace/didChangeConfiguration", { settings });
      }),
    ];
  }

  /** How the host is now. */
  get status(): HostStatus {
    return this.#current;
  }

  /** Starts the host if it has not been started. Resolves when it runs; a failure is told by the status. */
  start(): Promise<void> {
    this.#started ??= this.#start();
    return this.#started;
  }

  /** Starts the host anew, after it was given up or to have a fresh one. */
  async restart(): Promise<void> {
    const old = this.#client;
    this.#client = undefined;
    this.#started = undefined;
    await old?.dispose(2000).catch(() => undefined);
    await this.start();
    if (this.#current.state === "running") this.#restarts.fire();
  }

  /** Sends a request, waiting for the host if it is being started. Rejects with the host's error, or because it stopped. */
  async request<P, R>(
    type: RequestType<P, R, void>,
    params: NoInfer<RequestParam<P>>,
    token?: CancellationToken,
  ): Promise<R> {
    const client = await this.#running();
    return client.sendRequest(type, params, token);
  }

  /** Sends a notification, waiting for the host if it is being started. */
  async notify<P>(type: NotificationType<P>, params: NoInfer<RequestParam<P>>): Promise<void> {
    const client = await this.#running();
    await client.sendNotification(type, params);
  }

  dispose(): void {
    this.#disposed = true;
    for (const subscription of this.#subscriptions) subscription.dispose();
    const emitters = [this.#status, this.#updates, this.#models, this.#reviews, this.#reveals, this.#restarts];
    for (const emitter of emitters) emitter.dispose();
    this.#client?.dispose(2000).catch((error: unknown) => this.#deps.log.warn(`The host did not end well: ${error}`));
  }

  async #running(): Promise<LanguageClient> {
    await this.start();
    if (this.#current.state === "restarting") await nextStatus(this.onDidChangeStatus);
    if (this.#client && this.#current.state === "running") return this.#client;
    throw new Error(this.#current.message ?? "The agent host is not running. Restart it from the Hermes panel.");
  }

  async #start(): Promise<void> {
    if (!workspace.workspaceFolders?.length) {
      this.#set({ state: "no_folder", message: "Hermes works on a folder, and none is open." });
      return;
    }
    this.#set({ state: "starting" });
    try {
      const [library] = await Promise.all([import("vscode-languageclient/node"), this.#readCredentials()]);
      const client = this.#createClient(library);
      this.#client = client;
      await client.start();
    } catch (error) {
      this.#deps.log.error("The host could not be started", error instanceof Error ? error : String(error));
      const message = error instanceof Error ? error.message : String(error);
      this.#set({ state: "stopped", message: `The agent host could not be started: ${message}` });
    }
  }

  /** The host starts with the keys of that moment: one that was entered since must survive a restart. */
  async #readCredentials(): Promise<void> {
    this.#credentials = await this.#deps.credentials();
  }

  #createClient(library: typeof import("vscode-languageclient/node")): LanguageClient {
    const { CloseAction, ErrorAction, LanguageClient, RevealOutputChannelOn, State, TransportKind } = library;
    const { serverModule, log } = this.#deps;
    const server = { module: serverModule, transport: TransportKind.stdio };
    const inspected = { ...server, options: { execArgv: ["--inspect=6009"] } };
    const client: LanguageClient = new LanguageClient(
      "hermes",
      "Hermes",
      { run: process.env.HERMES_INSPECT ? inspected : server, debug: inspected },
      {
        documentSelector: [{ scheme: "file" }, { scheme: "untitled" }],
        outputChannel: log,
        traceOutputChannel: log,
        revealOutputChannelOn: RevealOutputChannelOn.Never,
        initializationOptions: (): InitializationOptions => ({
          credentials: this.#credentials,
          settings: this.#givenSettings(),
          trusted: workspace.isTrusted,
          exclude: excludedGlobs(),
          notebooks: true,
          ripgrepPath: env.appRoot,
        }),
        middleware: {
          workspace: {
            handleApplyEdit: (params, next) =>
              this.#deps.isEditCurrent(params) ? next(params, new CancellationTokenSource().token) : { applied: false },
          },
        },
        errorHandler: {
          error: () => ({ action: ErrorAction.Continue, handled: true }),
          closed: () => this.#closed(client, CloseAction),
        },
      },
      false,
    );
    client.onDidChangeState(({ newState }) => {
      if (client !== this.#client || newState !== State.Running) return;
      const again = this.#current.state === "restarting";
      this.#set({ state: "running" });
      if (again) this.#restarts.fire();
    });
    client.onNotification(sessionUpdate, (params) => this.#updates.fire(params));
    client.onNotification(modelsChanged, (list) => this.#models.fire(list));
    client.onNotification(reviewChanged, (params) => this.#reviews.fire(params));
    client.onNotification(revealSession, ({ sessionId }) => this.#reveals.fire(sessionId));
    client.onRequest(requestPermission, this.#deps.requestPermission);
    client.onRequest(requestBudget, this.#deps.requestBudget);
    client.onRequest(formatDocument, this.#deps.formatDocument);
    client.onRequest(documentDiagnostics, this.#deps.documentDiagnostics);
    client.onRequest(saveDocument, this.#deps.saveDocument);
    client.onRequest(documentEncoding, this.#deps.documentEncoding);
    client.onRequest(readNotebook, this.#deps.readNotebook);
    client.onRequest(editNotebook, this.#deps.editNotebook);
    return client;
  }

  async #closed(
    client: LanguageClient,
    action: typeof import("vscode-languageclient/node").CloseAction,
  ): Promise<CloseHandlerResult> {
    const stop = { action: action.DoNotRestart, handled: true };
    if (this.#disposed || client !== this.#client) return stop;
    const decision = this.#deps.decideRestart();
    if (!decision.restart) {
      const message = "The agent host stopped too often and is not started again. The log says why.";
      this.#set({ state: "stopped", message });
      return stop;
    }
    this.#set({ state: "restarting", message: "The agent host stopped. Starting it again." });
    await this.#readCredentials();
    if (decision.delayMs > 0) await new Promise((resolve) => setTimeout(resolve, decision.delayMs));
    return this.#disposed ? stop : { action: action.Restart, handled: true };
  }

  /** What the user or the workspace has set; defaults are left out, because configuration files count more than they. */
  #givenSettings(): { readonly [name: string]: Json } {
    const found = this.#deps.settingNames.flatMap((name) => {
      const { workspaceFolderValue, workspaceValue, globalValue } =
        workspace.getConfiguration().inspect<Json>(name) ?? {};
      const value = workspaceFolderValue ?? workspaceValue ?? globalValue;
      return value === undefined ? [] : [[name.replace(/^hermes\./, ""), value] as const];
    });
    return Object.fromEntries(found);
  }

  #set(status: HostStatus): void {
    this.#current = status;
    if (!this.#disposed) this.#status.fire(status);
  }
}

function nextStatus(event: Event<HostStatus>): Promise<void> {
  return new Promise((resolve) => {
    const subscription = event(({ state }) => {
      if (state === "restarting") return;
      subscription.dispose();
      resolve();
    });
  });
}

/** The globs that the user hides from the explorer and from search. Globs with a condition are left out. */
function excludedGlobs(): readonly string[] {
  return ["files", "search"].flatMap((section) => {
    const globs = workspace.getConfiguration(section).get<{ readonly [glob: string]: unknown }>("exclude") ?? {};
    return Object.entries(globs).flatMap(([glob, on]) => (on === true ? [glob] : []));
  });
}
