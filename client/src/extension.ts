/**
 * Activates the extension: builds the client's parts, joins them and registers them for disposal. No logic.
 *
 * Not here: anything that takes long; the host is started after activation has returned. Easily got wrong: what
 * `activate` returns is the extension's API, which tests use.
 */
import { commands, type ExtensionContext, Uri, window, workspace } from "vscode";
import { loadSession, notebookChanged } from "../../server/src/protocol/methods.ts";
import type { FromPanel } from "../../server/src/protocol/panel.ts";
import type { SessionId } from "../../server/src/protocol/types.ts";
import { FreshDiagnostics, formatAside } from "./afterEdit.ts";
import { AgentClient } from "./agentClient.ts";
import { ChatView, viewId } from "./chatView.ts";
import { registerCommands } from "./commands.ts";
import { offerBothSides, showBothSides } from "./conflicts.ts";
import { Conversation } from "./conversation.ts";
import { Credentials } from "./credentials.ts";
import {
  beforeScheme,
  createBeforeTexts,
  encodingOf,
  isEditCurrent,
  openAllDiffs,
  openAllPending,
  openDiff,
  openFile,
  openPendingDiff,
  ShadowTexts,
  saveIfCurrent,
  shadowScheme,
} from "./edits.ts";
import { LivePreview } from "./livePreview.ts";
import { editNotebook, readNotebook, watchNotebooks } from "./notebooks.ts";
import { NotebookTexts, notebookScheme } from "./notebookTexts.ts";
import { openFiles } from "./openFiles.ts";
import { approvals as approvalQuestions, budgetQuestions, Questions } from "./questions.ts";
import { References } from "./references.ts";
import { createRestartPolicy } from "./restartPolicy.ts";
import { Review } from "./review.ts";
import { registerReviewCommands, undoAll } from "./reviewCommands.ts";
import { ReviewDecorations } from "./reviewDecorations.ts";
import { ReviewMarks } from "./reviewMarks.ts";
import { StatusBar } from "./statusBar.ts";

/** Under this name the workspace remembers the sessions in which something was pending; the host knows what. */
const reviewedMemory = "reviewed";
/** How many of them are remembered. */
const reviewedLimit = 20;

/** What other extensions and tests may use. */
export interface HermesApi {
  /** Milliseconds of the extension's own work while it was activated. */
  readonly activationMs: number;
  /** Resolves when the host runs, or has failed to start. */
  readonly ready: Promise<void>;
}

/** Starts the extension. */
export function activate(context: ExtensionContext): HermesApi {
  const startedAt = performance.now();
  const keep = <T extends { dispose(): unknown }>(part: T): T => {
    context.subscriptions.push(part);
    return part;
  };
  const log = keep(window.createOutputChannel("Hermes", { log: true }));
  const credentials = new Credentials(context.secrets);
  const view = keep(new ChatView(context.extensionUri));
  const references = keep(new References());
  const statusBar = keep(new StatusBar());
  const isInView = (sessionId: SessionId) => view.visible && conversation.sessionId === sessionId;
  const approvals = keep(new Questions(approvalQuestions, isInView));
  const limits = keep(new Questions(budgetQuestions, isInView));
  const diagnostics = keep(new FreshDiagnostics());
  const agent = keep(
    new AgentClient({
      serverModule: Uri.joinPath(context.extensionUri, "dist", "server.js").fsPath,
      log,
      settingNames: Object.keys(context.extension.packageJSON.contributes.configuration.properties),
      credentials: () => credentials.read(),
      decideRestart: createRestartPolicy(Date.now),
      requestPermission: (request, token) => approvals.ask(request, token),
      requestBudget: (question, token) => limits.ask(question, token),
      formatDocument: formatAside,
      documentDiagnostics: (params, token) => diagnostics.of(params, token),
      isEditCurrent,
      saveDocument: saveIfCurrent,
      documentEncoding: encodingOf,
      readNotebook,
      editNotebook,
    }),
  );
  const preview = keep(new LivePreview());
  const review: Review = new Review({
    agent,
    keyOf: (uri) => Uri.parse(uri).toString(),
    onDidChange: () => {
      marks.refresh();
      decorations.refresh();
      shadows.refresh();
      notebookTexts.refresh();
      showPending();
      void context.workspaceState.update(reviewedMemory, review.sessions.slice(-reviewedLimit));
    },
    warn: (message) => void window.showWarningMessage(`Hermes: ${message}`),
  });
  const marks = keep(new ReviewMarks(review));
  const decorations = keep(new ReviewDecorations(review));
  const shadows = keep(new ShadowTexts(agent, review));
  const notebookTexts = keep(new NotebookTexts(agent));
  const conversation = new Conversation({
    agent,
    post: (message) => {
      view.post(message);
      preview.take(message);
    },
    takeReferences: () => references.take(),
    openFiles,
    askForKey: (name) => credentials.ask(name),
    memory: {
      get: (name) => context.workspaceState.get<string>(name),
      set: (name, value) => void context.workspaceState.update(name, value),
    },
    onDidChangeRunning: (running) => {
      statusBar.set({ running });
      void commands.executeCommand("setContext", "hermes.running", running);
    },
    onDidChangeModels: (models) => statusBar.set({ models }),
    onConflicts: (conflicts) => void offerBothSides(agent, conflicts),
    log: (message) => log.warn(message),
  });

  const showHost = () => view.post({ type: "host", ...agent.status });
  const showWorkspace = () => {
    const [folder, ...others] = workspace.workspaceFolders ?? [];
    const root = folder?.uri.toString();
    const folders = folder ? 1 + others.length : 0;
    view.post({ type: "workspace", name: folder?.name ?? "", root, folders, trusted: workspace.isTrusted });
  };
  const showPending = () => view.post({ type: "pending", files: review.summaries() });
  const setFollow = (on: boolean) => {
    preview.setFollow(on);
    view.post({ type: "follow", on });
  };
  /** The host tells what is pending in a session when it loads it; hidden, the panel loads none. */
  const loadReviewed = async () => {
    const stored = context.workspaceState.get<readonly SessionId[]>(reviewedMemory) ?? [];
    const ids = new Set([...stored, ...(conversation.sessionId ? [conversation.sessionId] : [])]);
    for (const sessionId of ids) {
      const tell = (error: unknown) => log.info(`What is pending in ${sessionId} is not known: ${error}`);
      await agent.request(loadSession, { sessionId }).catch(tell);
    }
  };
  const showPage = async () => {
    showWorkspace();
    showHost();
    view.post({ type: "references", chips: references.chips() });
    showPending();
    view.post({ type: "follow", on: preview.follow });
    await conversation.show();
  };

  keep(window.registerWebviewViewProvider(viewId, view));
  keep(workspace.registerTextDocumentContentProvider(beforeScheme, createBeforeTexts(agent)));
  keep(workspace.registerTextDocumentContentProvider(shadowScheme, shadows));
  keep(workspace.registerTextDocumentContentProvider(notebookScheme, notebookTexts));
  keep(
    watchNotebooks((change) => {
      notebookTexts.refresh();
      if (agent.status.state === "running") void agent.notify(notebookChanged, change);
    }),
  );
  keep(agent.onDidChangeReview((params) => review.take(params)));
  keep(agent.onDidUpdate(({ sessionId, updates }) => conversation.update(sessionId, updates)));
  keep(agent.onDidChangeModels((list) => conversation.showModels(list)));
  keep(
    agent.onDidRestart(() => {
      void conversation.hostRestarted();
      void loadReviewed();
    }),
  );
  keep(
    agent.onDidReveal((sessionId) => {
      void conversation.open(sessionId);
      void view.show({ takeFocus: false });
    }),
  );
  keep(
    agent.onDidChangeStatus((host) => {
      statusBar.set({ host });
      showHost();
      if (host.state !== "running") {
        approvals.clear();
        limits.clear();
        conversation.hostStopped();
        preview.clear();
      }
      if (host.state === "stopped") void offerRestart(host.message);
    }),
  );
  const showQuestions = () => {
    const count = approvals.count + limits.count;
    statusBar.set({ approvals: count });
    view.setBadge(count);
  };
  keep(approvals.onDidChange(showQuestions));
  keep(limits.onDidChange(showQuestions));
  keep(
    view.onDidChangeVisibility(() => {
      approvals.remind();
      limits.remind();
    }),
  );
  keep(references.onDidChange((chips) => view.post({ type: "references", chips })));
  keep(credentials.onDidChange((change) => void conversation.keyChanged(change)));
  keep(workspace.onDidGrantWorkspaceTrust(showWorkspace));
  keep(
    workspace.onDidChangeWorkspaceFolders(() => {
      showWorkspace();
      if (agent.status.state === "no_folder") void agent.restart().then(() => conversation.show());
    }),
  );
  for (const command of registerReviewCommands(review)) keep(command);
  for (const command of registerCommands({ agent, conversation, view, references, showLog: () => log.show() })) {
    keep(command);
  }

  async function exportCost(): Promise<void> {
    const content = await conversation.costAsCsv();
    if (content === undefined) return;
    await window.showTextDocument(await workspace.openTextDocument({ content, language: "csv" }));
  }

  async function offerRestart(message = "The agent host is not running."): Promise<void> {
    const choice = await window.showErrorMessage(`Hermes: ${message}`, "Restart", "Show Log");
    if (choice === "Restart") await agent.restart();
    if (choice === "Show Log") log.show();
  }

  function receive(message: FromPanel): unknown {
    switch (message.type) {
      case "ready":
        return showPage();
      case "submit":
        return conversation.submit(message.text);
      case "try_again":
        return conversation.tryAgain(message.prompt);
      case "ask_again":
        return conversation.askAgain(message.prompt);
      case "warm_up":
        return conversation.warmUp(message.intent);
      case "stop":
        return conversation.stop();
      case "new_session":
        conversation.startNew();
        return view.post({ type: "focus" });
      case "open_session":
        return conversation.open(message.sessionId);
      case "show_earlier":
        return conversation.showEarlier(message.turns);
      case "list_sessions":
        return conversation.list(message.query);
      case "show_cost":
        return conversation.showCost();
      case "export_cost":
        return exportCost();
      case "select_model":
        return conversation.selectModel(message.model);
      case "set_api_key":
        return conversation.setApiKey(message.name, message.model);
      case "answer":
        return approvals.answer(message.sessionId, message.callId, message.choice);
      case "answer_budget":
        return limits.answer(message.sessionId, message.turnId, message.choice);
      case "raise_limit":
        return conversation.raiseLimit(message.standing, message.limit);
      case "undo":
        return conversation.undo(message.turnId);
      case "restore":
        return conversation.restore(message.turnId, message);
      case "compact":
        return conversation.compact(message.hint);
      case "undo_compaction":
        return conversation.undoCompaction(message.compactionId);
      case "undo_restore":
        return conversation.undoRestore(message.restoreId);
      case "show_conflict": {
        const { sessionId } = conversation;
        const { restoreId, uri } = message;
        return sessionId && showBothSides(agent, { sessionId, restoreId, uri });
      }
      case "open_diff":
        return openDiff(message.change);
      case "open_all_diffs":
        return openAllDiffs(message.changes);
      case "review": {
        const { action, sessionId, uri, turnId } = message;
        if (action === "undo" && uri === undefined && turnId === undefined) return undoAll(review, sessionId);
        return review.decide(action, { sessionId, ...(uri ? { uri } : {}), ...(turnId ? { turnId } : {}) });
      }
      case "open_pending": {
        const [file] = review.filesAt(message.uri ?? "");
        return file ? openPendingDiff(file) : openAllPending(review.files);
      }
      case "follow":
        return setFollow(message.on);
      case "open_file":
        return openFile(message.path, message.line);
      case "toggle_reference":
        return references.toggle(message.id);
      case "do":
        return commands.executeCommand(actionCommands[message.action]);
    }
  }
  keep(
    view.onDidReceive(async (message) => {
      try {
        await receive(message);
      } catch (error) {
        log.error(`The panel's ${message.type} failed`, error instanceof Error ? error : String(error));
      }
    }),
  );

  // The host is another process; it starts while VS Code goes on.
  const ready = new Promise<void>((resolve) => setImmediate(() => resolve(agent.start())));
  void ready.then(() =>
    agent.status.state === "running" ? Promise.all([conversation.refreshModels(), loadReviewed()]) : undefined,
  );
  // `npm start` sets this: VS Code shows no view of an extension by itself in a window that was never open before.
  if (process.env.HERMES_OPEN_PANEL) setImmediate(() => void view.show({ takeFocus: false }));
  return { activationMs: performance.now() - startedAt, ready };
}

const actionCommands = {
  set_api_key: "hermes.setApiKey",
  select_model: "hermes.selectModel",
  try_again: "hermes.openPanel",
  show_log: "hermes.showLog",
  restart_host: "hermes.restartHost",
  open_folder: "vscode.openFolder",
} as const;
