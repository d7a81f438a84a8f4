/**
 * The commands of the palette: each asks what it must, then starts a task in the host or passes an intent on.
 *
 * Not here: the prompts of tasks; the host composes them. Easily got wrong: `hermes.runTask` itself is registered by the
 * language client, for code actions and for these commands alike.
 */
import { commands, type Diagnostic, type Disposable, languages, type TextEditor, Uri, window } from "vscode";
import { openConfig } from "../../server/src/protocol/methods.ts";
import { refactorCommand, runTaskCommand, type TaskArguments } from "../../server/src/protocol/tasks.ts";
import type { ModelChoice } from "../../server/src/protocol/types.ts";
import type { AgentClient } from "./agentClient.ts";
import type { ChatView } from "./chatView.ts";
import type { Conversation } from "./conversation.ts";
import type { References } from "./references.ts";

/** What the commands act on. */
export interface CommandDeps {
  readonly agent: AgentClient;
  readonly conversation: Conversation;
  readonly view: ChatView;
  readonly references: References;
  readonly showLog: () => void;
}

/** Diagnostics that are passed on at most; more would not help. */
const diagnosticLimit = 100;

/** Registers every command. */
export function registerCommands(deps: CommandDeps): readonly Disposable[] {
  const { conversation, view, references } = deps;
  const openPanel = () => view.show({ takeFocus: true });
  const all: { readonly [id: string]: (...args: never[]) => unknown } = {
    "hermes.openPanel": openPanel,
    "hermes.newSession": async () => {
      conversation.startNew();
      await view.show({ takeFocus: true });
    },
    "hermes.ask": () => ask(deps),
    "hermes.fixFile": () => fixFile(deps),
    "hermes.writeTests": () => writeTests(deps),
    "hermes.reviewChanges": () => runTask(deps, { task: "review_changes" }),
    [refactorCommand]: (task: TaskArguments) => refactor(deps, task),
    "hermes.stop": () => conversation.stop(),
    "hermes.setApiKey": () => conversation.setApiKey(),
    "hermes.selectModel": () => selectModel(deps),
    "hermes.openConfiguration": () => openConfiguration(deps),
    "hermes.showCost": async () => {
      await openPanel();
      await conversation.showCost();
    },
    "hermes.explainTurn": () => view.tell({ type: "why" }),
    "hermes.showLog": deps.showLog,
    "hermes.restartHost": () => deps.agent.restart(),
    "hermes.showSessions": () => showSessions(deps),
    "hermes.compact": () => compact(deps),
    "hermes.undoTurn": () => undoTurn(deps),
    "hermes.restoreCheckpoint": () => restoreCheckpoint(deps),
    "hermes.addSelection": async () => {
      if (!references.pin()) return void window.showInformationMessage("Hermes: open a file first, then add it.");
      await openPanel();
    },
  };
  return Object.entries(all).map(([id, run]) => commands.registerCommand(id, run));
}

async function runTask({ agent }: CommandDeps, task: TaskArguments): Promise<void> {
  try {
    await agent.start();
    if (agent.status.state !== "running") throw new Error(agent.status.message ?? "The agent host is not running.");
    await commands.executeCommand(runTaskCommand, task);
  } catch (error) {
    void window.showErrorMessage(`Hermes: ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function openConfiguration({ agent }: CommandDeps): Promise<void> {
  const choices = [
    { label: "Workspace Configuration", description: ".hermes/config.yaml", owner: "workspace" as const },
    { label: "User Configuration", description: "~/.hermes/config.yaml", owner: "user" as const },
  ];
  const chosen = await window.showQuickPick(choices, { title: "Hermes: Open Configuration" });
  if (!chosen) return;
  try {
    const { uri } = await agent.request(openConfig, { owner: chosen.owner });
    await window.showTextDocument(Uri.parse(uri));
  } catch (error) {
    void window.showErrorMessage(`Hermes: ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function ask(deps: CommandDeps): Promise<void> {
  const instruction = await askForText("Hermes: Ask", "What should be done, or explained?");
  if (instruction) await runTask(deps, { task: "ask", instruction });
}

async function fixFile(deps: CommandDeps): Promise<void> {
  const editor = activeEditor();
  if (!editor) return;
  const { uri } = editor.document;
  const diagnostics = languages.getDiagnostics(uri).slice(0, diagnosticLimit).map(toTaskDiagnostic);
  if (diagnostics.length === 0) {
    void window.showInformationMessage("Hermes: VS Code knows of no problems in this file.");
    return;
  }
  await runTask(deps, { task: "fix_file", uri: uri.toString(), diagnostics });
}

async function writeTests(deps: CommandDeps): Promise<void> {
  const editor = activeEditor();
  if (editor) await runTask(deps, { task: "write_tests", uri: editor.document.uri.toString() });
}

async function refactor(deps: CommandDeps, task: TaskArguments): Promise<void> {
  const instruction = await askForText("Hermes: Refactor Selection", "How should it be changed?");
  if (instruction) await runTask(deps, { ...task, instruction });
}

async function selectModel({ conversation }: CommandDeps): Promise<void> {
  await conversation.refreshModels();
  const { models, selected } = conversation.models ?? { models: [], selected: "" };
  const items = models.map((model) => ({
    label: model.label,
    description: [model.id, model.id === selected ? "selected" : "", describeState(model)].filter(Boolean).join(" · "),
    model,
  }));
  const options = {
    title: "Hermes: Select Model",
    placeHolder: "Which model should answer?",
    matchOnDescription: true,
  };
  const model = (await window.showQuickPick(items, options))?.model;
  if (!model) return;
  if (model.state === "needs_key") await conversation.setApiKey(model.credential, model.id);
  else await conversation.selectModel(model.id);
}

async function showSessions({ conversation, view }: CommandDeps): Promise<void> {
  const sessions = await conversation.sessions("");
  if (sessions.length === 0) {
    void window.showInformationMessage("Hermes: there are no sessions in this folder yet.");
    return;
  }
  const items = sessions.map(({ sessionId, title, updatedAt }) => ({
    label: title,
    description: new Date(updatedAt).toLocaleString(),
    sessionId,
  }));
  const choice = await window.showQuickPick(items, { title: "Hermes: Sessions", matchOnDescription: true });
  if (!choice) return;
  await view.show({ takeFocus: true });
  await conversation.open(choice.sessionId);
}

async function compact({ conversation, view }: CommandDeps): Promise<void> {
  const prompt = "What should the summary keep in particular? Leave it empty for the usual.";
  const hint = await window.showInputBox({ title: "Hermes: Compact Conversation", prompt, ignoreFocusOut: true });
  if (hint === undefined) return;
  await view.show({ takeFocus: true });
  await conversation.compact(hint.trim() || undefined);
}

async function undoTurn({ conversation }: CommandDeps): Promise<void> {
  const done = await conversation.undoLast();
  if (!done) void window.showInformationMessage("Hermes: no turn of this session has changes to undo.");
}

async function restoreCheckpoint({ conversation }: CommandDeps): Promise<void> {
  const checkpoints = await conversation.checkpoints();
  if (checkpoints.length === 0) {
    void window.showInformationMessage("Hermes: this session has no turns to go back to.");
    return;
  }
  const items = checkpoints.toReversed().map(({ turnId, at, prompt, files, isUndone }) => ({
    label: prompt.split("\n", 1)[0] || "(no text)",
    description: new Date(at).toLocaleString(),
    detail: isUndone ? "files undone" : files === 1 ? "1 file changed" : `${files} files changed`,
    turnId,
  }));
  const title = "Hermes: Restore Checkpoint";
  const turn = await window.showQuickPick(items, { title, placeHolder: "Go back to right before…" });
  const parts = [
    { label: "Files and Conversation", files: true, conversation: true },
    { label: "Files Only", files: true, conversation: false },
    { label: "Conversation Only", files: false, conversation: true },
  ];
  const part = turn && (await window.showQuickPick(parts, { title, placeHolder: "What should go back?" }));
  if (part) await conversation.restore(turn.turnId, part);
}

async function askForText(title: string, prompt: string): Promise<string | undefined> {
  const text = await window.showInputBox({ title, prompt, ignoreFocusOut: true });
  return text?.trim() || undefined;
}

function activeEditor(): TextEditor | undefined {
  const editor = window.activeTextEditor;
  if (!editor) void window.showInformationMessage("Hermes: open the file first.");
  return editor;
}

function describeState({ state }: ModelChoice): string {
  return state === "needs_key" ? "needs a key" : state === "recording" ? "recording" : "";
}

function toTaskDiagnostic({ range, message, severity, source }: Diagnostic) {
  const { start, end } = range;
  return {
    range: {
      start: { line: start.line, character: start.character },
      end: { line: end.line, character: end.character },
    },
    message,
    // LSP counts severities from 1, VS Code from 0.
    severity: severity + 1,
    ...(source === undefined ? {} : { source }),
  };
}
