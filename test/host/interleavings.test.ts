/**
 * A typist and the agent on the same files in a real VS Code: documents, undo, saving and reloading are VS Code's own, the
 * agent's turns go through the real extension and host to the model double.
 *
 * Played on request (`npm run test:host -- --interleavings 300`), for the orders are as they come and so is a failure.
 * Not here: choosing every order (`test/support/interleave/stage.ts`). Easily got wrong: what a hand does is
 * looked at right before and right after it.
 */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import fc from "fast-check";
import * as vscode from "vscode";
import {
  type Action,
  agentEdit,
  createTokens,
  cut,
  fileCount,
  interleavings,
  originalText,
  rewritten,
  typed,
} from "../support/interleave/actions.ts";
import { type Cause, Oracle } from "../support/interleave/oracle.ts";
import { type ModelDouble, type Script, startModelDouble } from "../support/modelDouble.ts";

const count = Number(process.env.HERMES_TEST_INTERLEAVINGS ?? 0);
const seed = 20261121;
/** What one takes at most, in ms. */
const oneMs = 6_000;
/**
 * VS Code saves a document as it is by then, and not at a version: what is typed between Hermes' look at the version and
 * the save goes to disk with it. What a hand did so shortly before, in ms, may have come in between.
 */
const handMs = 250;
/** Requests of one turn; the last is answered with words. */
const maxSteps = 12;
/** How often something is looked for, 20 ms apart, before it counts as missing. */
const maxLooks = 500;

const pause = (ms = 20) => new Promise((resolve) => setTimeout(resolve, ms));

async function until(test: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (let looks = 0; looks < maxLooks; looks++) {
    if (await test()) return;
    await pause();
  }
  throw new Error(`It never came to this: ${what}`);
}

/** The agent's side: what each request of the turn is answered with. */
class Turn {
  readonly #newToken = createTokens();
  readonly #seen = new Map<number, string>();
  #actions: Action[] = [];
  #asked: number | undefined;
  ended = true;

  begin(actions: readonly Action[]): void {
    this.#actions = actions.filter(({ do: name }) => name === "read" || name === "edit");
    this.#seen.clear();
    this.#asked = undefined;
    this.ended = false;
  }

  answer(results: readonly { readonly text: string; readonly isError: boolean }[], isLast: boolean) {
    const [result] = results;
    if (this.#asked !== undefined && result && !result.isError) {
      this.#seen.set(this.#asked, `${result.text.slice(result.text.indexOf("\n") + 1)}\n`);
    }
    this.#asked = undefined;
    const action = isLast ? undefined : this.#actions.shift();
    if (!action || !("file" in action)) {
      this.ended = true;
      return { say: "Done." };
    }
    const name = `file${action.file}.txt`;
    const seen = this.#seen.get(action.file);
    const edit = action.do === "edit" && seen !== undefined && agentEdit(seen, action, this.#newToken("agent"));
    if (edit) return { calls: [{ name: "edit", input: { path: name, ...edit } }] };
    this.#asked = action.file;
    if (action.do === "edit") this.#actions.unshift(action);
    return { calls: [{ name: "read", input: { files: [{ path: name }] } }] };
  }
}

const describeIfAsked = count > 0 ? describe : () => undefined;

describeIfAsked("a typist and the agent in VS Code", () => {
  const turn = new Turn();
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri.fsPath ?? "";
  const uriOf = (file: number) => vscode.Uri.file(path.join(folder, `file${file}.txt`));
  const keyOf = (file: number) => uriOf(file).toString();
  let double: ModelDouble;
  let subscription: vscode.Disposable | undefined;
  let oracle = new Oracle();
  let newToken = createTokens();
  /** When a hand last changed a document. */
  const handAt = new Map<string, number>();
  let savesByHand = 0;
  let failure: unknown;

  before(async function () {
    this.timeout(60_000);
    const steps = Array.from({ length: maxSteps }, (_, index) => (request: { readonly view?: unknown }) => {
      const view = request.view as { readonly results: readonly { text: string; isError: boolean }[] } | undefined;
      return turn.answer(view?.results ?? [], index === maxSteps - 1);
    });
    double = await startModelDouble({ script: { steps } as Script });
    process.env.ANTHROPIC_API_KEY = "test-key";
    process.env.ANTHROPIC_BASE_URL = double.anthropicBaseUrl;
    const settings = vscode.workspace.getConfiguration();
    await settings.update("files.autoSave", "off", vscode.ConfigurationTarget.Global);
    await settings.update("hermes.localModels.detect", false, vscode.ConfigurationTarget.Global);
    await settings.update("hermes.model.name", "anthropic/claude-sonnet-5-5", vscode.ConfigurationTarget.Global);
    await settings.update("hermes.permissions.rules", ["allow edit"], vscode.ConfigurationTarget.Global);
    for (let file = 0; file < fileCount; file++) fs.writeFileSync(uriOf(file).fsPath, originalText(file));
    const hermes = vscode.extensions.getExtension<{ readonly ready: Promise<void> }>("hermes-agent.hermes");
    await (await hermes?.activate())?.ready;
    await vscode.commands.executeCommand("hermes.restartHost");
    subscription = vscode.workspace.onDidSaveTextDocument((document) => {
      if (savesByHand > 0) return;
      try {
        // The document may have gone on since: what was saved is in the file.
        if (Date.now() - (handAt.get(document.uri.toString()) ?? 0) < handMs) return;
        oracle.savedForHost(document.uri.toString(), fs.readFileSync(document.uri.fsPath, "utf8"));
      } catch (error) {
        failure ??= error;
      }
    });
  });

  after(async () => {
    subscription?.dispose();
    await vscode.commands.executeCommand("workbench.action.closeAllEditors");
    await double.close();
    for (let file = 0; file < fileCount; file++) fs.rmSync(uriOf(file).fsPath, { force: true });
  });

  const documentOf = (file: number) =>
    vscode.workspace.textDocuments.find(({ uri, isClosed }) => !isClosed && uri.toString() === keyOf(file));
  const diskOf = (file: number) =>
    fs.existsSync(uriOf(file).fsPath) ? fs.readFileSync(uriOf(file).fsPath, "utf8") : undefined;

  function look(files: Iterable<number>, cause: Cause): void {
    for (const file of files) {
      const document = documentOf(file);
      const texts = { buffer: document?.getText(), disk: diskOf(file), dirty: document?.isDirty ?? false };
      oracle.look(keyOf(file), texts, cause);
    }
  }

  /** Opens a file as a user does: an extension that opens a document itself keeps it open for minutes. */
  async function show(file: number): Promise<vscode.TextEditor> {
    await vscode.commands.executeCommand("vscode.open", uriOf(file), { preview: false });
    const isShown = () => vscode.window.activeTextEditor?.document.uri.toString() === keyOf(file);
    await until(isShown, "the file is shown");
    const editor = vscode.window.activeTextEditor;
    assert.ok(editor);
    return editor;
  }

  async function inEditor(
    action: Exclude<Action, { readonly do: "rewrite" }> & { readonly file: number },
  ): Promise<void> {
    if (action.do === "close" && !documentOf(action.file)) return;
    if (!documentOf(action.file) && diskOf(action.file) === undefined) return;
    const editor = await show(action.file);
    const { document } = editor;
    const run = (command: string) => vscode.commands.executeCommand(command);
    const save = async () => {
      savesByHand += 1;
      const saved = await document.save();
      savesByHand -= 1;
      if (saved) oracle.clean(keyOf(action.file));
      return saved;
    };
    if (action.do === "type" || action.do === "cut") {
      const before = document.getText();
      const after = action.do === "type" ? typed(before, action, newToken("typist")) : cut(before, action.at);
      await replaceByTyping(editor, before, after);
    } else if (action.do === "undo" || action.do === "redo") await run(action.do);
    else if (action.do === "save") await save();
    else if (action.do === "close" || action.do === "reopen") {
      if (action.do === "close" && action.save && document.isDirty && !(await save())) return;
      await run(
        document.isDirty ? "workbench.action.revertAndCloseActiveEditor" : "workbench.action.closeActiveEditor",
      );
      await until(() => documentOf(action.file) === undefined, "the document is closed");
    }
  }

  /** Selects what is other and types what takes its place, as a user would. */
  async function replaceByTyping(editor: vscode.TextEditor, before: string, after: string): Promise<void> {
    let head = 0;
    while (head < Math.min(before.length, after.length) && before[head] === after[head]) head += 1;
    let tail = 0;
    const rest = Math.min(before.length, after.length) - head;
    while (tail < rest && before.at(-1 - tail) === after.at(-1 - tail)) tail += 1;
    const { document } = editor;
    const from = document.positionAt(head);
    editor.selection = new vscode.Selection(from, document.positionAt(before.length - tail));
    await pause(0);
    if (document.getText() !== before) return;
    const text = after.slice(head, after.length - tail);
    await editor.edit((edit) => edit.replace(editor.selection, text));
  }

  async function byHand(action: Action, files: ReadonlySet<number>): Promise<void> {
    look(files, "agent");
    if (action.do === "go_on") await pause(action.picks.length * 3);
    else if (action.do === "rewrite") {
      if (action.how === "delete") return;
      const next = rewritten(diskOf(action.file), action, newToken("other"));
      if (next !== null) fs.writeFileSync(uriOf(action.file).fsPath, next);
    } else if ("file" in action) {
      handAt.set(keyOf(action.file), Number.POSITIVE_INFINITY);
      await inEditor(action);
      handAt.set(keyOf(action.file), Date.now());
    }
    look(files, "hand");
  }

  async function play(actions: readonly Action[], played: number): Promise<void> {
    const files = new Set(actions.flatMap((action) => ("file" in action ? [action.file] : [])));
    look(files, "hand");
    turn.begin(actions);
    await vscode.commands.executeCommand("hermes.runTask", { task: "ask", instruction: `Go on with ${played}` });
    for (const action of actions) {
      if (action.do !== "read" && action.do !== "edit") await byHand(action, files);
      if (failure) throw failure;
    }
    await until(() => turn.ended, "the turn has ended");
    // An edit that is shown is saved a moment later, and told of as pending a moment after that.
    await pause(100);
    look(files, "agent");
    for (const file of files) {
      await vscode.commands.executeCommand("hermes.review.undoFile", uriOf(file));
    }
    await pause(50);
    look(files, "undo");
    // What could not be undone must not come back in the next interleaving, in the name of this one's session.
    for (const file of files) await vscode.commands.executeCommand("hermes.review.keepFile", uriOf(file));
    if (failure) throw failure;
    await tidy(files);
  }

  async function tidy(files: ReadonlySet<number>): Promise<void> {
    for (const file of files) {
      if (documentOf(file)?.isDirty) {
        await show(file);
        await vscode.commands.executeCommand("workbench.action.revertAndCloseActiveEditor");
      }
    }
    await vscode.commands.executeCommand("workbench.action.closeAllEditors");
    for (const file of files) {
      if (diskOf(file) !== originalText(file)) fs.writeFileSync(uriOf(file).fsPath, originalText(file));
    }
    const isTidy = (file: number) => (documentOf(file)?.getText() ?? originalText(file)) === originalText(file);
    await until(() => [...files].every(isTidy), "all is as it was");
  }

  it(`${count} interleavings: no typed word is lost, none is saved by force, undo takes only the agent's`, async function () {
    this.timeout(count * oneMs);
    const played = new Set<Action["do"]>([
      "go_on",
      "type",
      "cut",
      "undo",
      "redo",
      "save",
      "close",
      "reopen",
      "rewrite",
      "read",
      "edit",
    ]);
    const all = fc.sample(interleavings(14), { seed, numRuns: count });
    for (const [index, { actions }] of all.entries()) {
      oracle = new Oracle();
      newToken = createTokens();
      failure = undefined;
      const mine = actions.filter(({ do: name }) => played.has(name));
      try {
        await play(mine, index);
      } catch (error) {
        assert.fail(`Interleaving ${index} with seed ${seed}: ${JSON.stringify(mine)}\n${error}`);
      }
    }
  });
});
