/**
 * The configuration as an editor's user meets it: problems by line and column, changes that apply at once.
 *
 * Not here: reading files and who wins (`configFiles.ts`, `../config.ts`). Easily got wrong: what is shown follows the
 * text in the editor as it is typed, what is applied follows the files as they are saved.
 */
import { fileURLToPath, pathToFileURL } from "node:url";
import {
  type Connection,
  DiagnosticSeverity,
  DidChangeWatchedFilesNotification,
  type TextDocuments,
  WatchKind,
} from "vscode-languageserver/node";
import type { TextDocument } from "vscode-languageserver-textdocument";
import { Serial } from "../base/async.ts";
import { messageOf } from "../base/errors.ts";
import { log } from "../base/trace.ts";
import { type Config, type Environment, homeFolder, readConfig } from "../config.ts";
import type { ConfigProblem } from "../configFile.ts";
import type { InitializationOptions } from "../protocol/methods.ts";
import { type ConfigFile, ConfigFiles, type FileProblems } from "./configFiles.ts";

/** What it is made of. */
export interface ConfigEditorDeps {
  readonly connection: Connection;
  readonly documents: TextDocuments<TextDocument>;
  readonly environment: Environment;
  readonly root: string;
  /** What the editor has given last. */
  readonly options: () => Pick<InitializationOptions, "settings" | "credentials" | "trusted">;
  /** Called with each configuration after the first. */
  readonly onChange: (config: Config) => Promise<void>;
  /** Called with each new problem of the editor's own settings. */
  readonly onProblem: (problem: string) => void;
}

/** Keeps the configuration of one workspace folder. */
export class ConfigEditor {
  readonly files: ConfigFiles;
  readonly #deps: ConfigEditorDeps;
  readonly #applying = new Serial();
  /** The message that was shown last for each file that is wrong. */
  readonly #told = new Map<string, string>();
  /** What is wrong in the editor's own settings, which has been told. */
  #known: ReadonlySet<string> = new Set();
  /** Files that the editor shows problems of. */
  readonly #marked = new Set<string>();

  constructor(deps: ConfigEditorDeps) {
    this.#deps = deps;
    const { root, environment, documents } = deps;
    this.files = new ConfigFiles({ root, environment, trusted: () => deps.options().trusted });
    documents.onDidChangeContent(({ document }) => void this.#showProblemsOf(document.uri));
    documents.onDidClose(({ document }) => void this.#showProblemsOf(document.uri));
    documents.onDidSave(({ document }) => this.filesChanged([document.uri]));
  }

  /** Reads everything and gives the configuration that holds. */
  async read(): Promise<Config> {
    const { environment, options, onProblem } = this.#deps;
    const found = await this.files.reload();
    const { settings, credentials } = options();
    const config = readConfig(environment, settings, credentials, this.files.values);
    for (const problem of config.problems) if (!this.#known.has(problem)) onProblem(problem);
    this.#known = new Set(config.problems);
    for (const { file, problems } of found) this.#tell({ file, problems });
    for (const { file } of found) await this.#showProblems(file);
    return config;
  }

  /** Reads everything again and passes it on. */
  refresh(): Promise<void> {
    return this.#applying.run(async () => {
      try {
        await this.#deps.onChange(await this.read());
      } catch (error) {
        log("error", "The configuration could not be read again", error);
      }
    });
  }

  /** Resolves when every change that is known of has been applied. */
  idle(): Promise<void> {
    return this.#applying.idle();
  }

  /** Takes note of files that have changed on disk. */
  filesChanged(uris: readonly string[]): void {
    if (uris.some((uri) => this.#find(uri))) void this.refresh();
  }

  /** Asks the editor to tell of changes of the files, which may not be there yet. */
  watch(): void {
    const folders = [this.#deps.root, homeFolder(this.#deps.environment)].map((path) => pathToFileURL(path).href);
    const [root = "", home = ""] = folders;
    const kind = WatchKind.Create | WatchKind.Change | WatchKind.Delete;
    const watchers = [
      { globPattern: { baseUri: root, pattern: ".hermes/{config,performance}.yaml" }, kind },
      { globPattern: { baseUri: home, pattern: "{config,performance}.yaml" }, kind },
    ];
    this.#deps.connection.client
      .register(DidChangeWatchedFilesNotification.type, { watchers })
      .catch((error: unknown) => log("warn", `Configuration files are not watched: ${messageOf(error)}`));
  }

  #find(uri: string): ConfigFile | undefined {
    if (!uri.startsWith("file:") || !uri.endsWith(".yaml")) return undefined;
    const path = tryPath(uri);
    return this.files.files.find((file) => file.path === path);
  }

  async #showProblemsOf(uri: string): Promise<void> {
    const file = this.#find(uri);
    if (file) await this.#showProblems(file);
  }

  /** The problems of the text in the editor, or of the file where it is not open. */
  async #showProblems(file: ConfigFile): Promise<void> {
    const document = this.#deps.documents.all().find(({ uri }) => this.#find(uri) === file);
    const problems = document ? await this.files.check(file, document.getText()) : this.files.problemsOf(file);
    // A later text has been checked meanwhile, or will be.
    if (document && this.#deps.documents.get(document.uri)?.version !== document.version) return;
    if (problems.length === 0 && !this.#marked.delete(file.path)) return;
    if (problems.length > 0) this.#marked.add(file.path);
    const uri = document?.uri ?? pathToFileURL(file.path).href;
    await this.#deps.connection
      .sendDiagnostics({ uri, diagnostics: problems.map(toDiagnostic) })
      .catch(() => undefined);
  }

  /** Says once that a file is wrong, and what holds meanwhile. */
  #tell({ file, problems }: FileProblems): void {
    const problem = problems.find(({ severity }) => severity === "error");
    if (!problem) {
      this.#told.delete(file.path);
      return;
    }
    const name = file.owner === "workspace" ? `.hermes/${file.path.split(/[\\/]/).at(-1)}` : file.path;
    const holds = "Nothing of the file is used until it is right; what it said before still holds.";
    const message = `Hermes: ${name}, line ${problem.from.line + 1}: ${problem.message} ${holds}`;
    if (this.#told.get(file.path) === message) return;
    this.#told.set(file.path, message);
    void this.#offer(message, file, problem);
  }

  async #offer(message: string, file: ConfigFile, { from, to }: ConfigProblem): Promise<void> {
    const open = "Open File";
    const { connection } = this.#deps;
    try {
      const chosen = await connection.window.showWarningMessage(message, { title: open });
      if (chosen?.title !== open) return;
      const uri = pathToFileURL(file.path).href;
      await connection.window.showDocument({ uri, takeFocus: true, selection: { start: from, end: to } });
    } catch (error) {
      log("warn", `${message} (${messageOf(error)})`);
    }
  }
}

function toDiagnostic({ severity, message, from, to }: ConfigProblem) {
  const level = severity === "error" ? DiagnosticSeverity.Error : DiagnosticSeverity.Warning;
  return { range: { start: from, end: to }, severity: level, message, source: "Hermes" };
}

function tryPath(uri: string): string | undefined {
  try {
    return fileURLToPath(uri);
  } catch {
    return undefined;
  }
}
