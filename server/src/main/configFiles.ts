/**
 * The configuration files of a folder and of the user: reads them, and remembers what each gave when it was last right.
 *
 * Not here: their syntax (`../configFile.ts`), telling an editor (`configEditor.ts`). Easily got wrong: a file that is
 * wrong gives what it gave before, one that is gone gives nothing; and a folder that is not trusted is not asked at all.
 */
import { mkdir, open, readFile, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Serial } from "../base/async.ts";
import { errorCode, messageOf } from "../base/errors.ts";
import { type Environment, homeFolder, type SettingValues } from "../config.ts";
import type { ConfigOwner, ConfigProblem } from "../configFile.ts";

/** One configuration file. */
export interface ConfigFile {
  readonly path: string;
  readonly owner: ConfigOwner;
}

/** What is wrong in a file. */
export interface FileProblems {
  readonly file: ConfigFile;
  readonly problems: readonly ConfigProblem[];
}

/** What the files depend on. */
export interface ConfigFilesDeps {
  /** Absolute path of the workspace folder; without one there are only the user's files. */
  readonly root?: string;
  readonly environment: Environment;
  readonly trusted: () => boolean;
}

/** In the order in which they count: a setting is taken from the first file that has it. */
const names = ["performance.yaml", "config.yaml"] as const;

/** Reads the files when it is asked to. */
export class ConfigFiles {
  /** Every file that is looked for, in the order in which they count. */
  readonly files: readonly ConfigFile[];
  readonly #deps: ConfigFilesDeps;
  readonly #reading = new Serial();
  readonly #good = new Map<string, SettingValues>();
  readonly #problems = new Map<string, readonly ConfigProblem[]>();

  constructor(deps: ConfigFilesDeps) {
    this.#deps = deps;
    const { root, environment } = deps;
    const workspace = root === undefined ? [] : toFiles("workspace", join(root, ".hermes"));
    const user = toFiles("user", homeFolder(environment));
    // In the user's home folder both are the same files, and they are the user's.
    const known = new Set(user.map(({ path }) => path));
    this.files = [...workspace.filter(({ path }) => !known.has(path)), ...user];
  }

  /** The values that hold now, as `readConfig` takes them. */
  get values(): readonly SettingValues[] {
    return this.#asked().flatMap(({ path }) => this.#good.get(path) ?? []);
  }

  /** Reads every file anew and tells what is wrong, file by file; files without problems are told of too. */
  reload(): Promise<readonly FileProblems[]> {
    return this.#reading.run(async () => {
      const found = await Promise.all(this.#asked().map((file) => this.#read(file)));
      for (const { file, problems } of found) this.#problems.set(file.path, problems);
      return found;
    });
  }

  /** What was wrong in a file when it was last read. */
  problemsOf({ path }: ConfigFile): readonly ConfigProblem[] {
    return this.#problems.get(path) ?? [];
  }

  /** What is wrong in a text, which may not be saved yet. Nothing of it is applied. */
  async check(file: ConfigFile, text: string): Promise<readonly ConfigProblem[]> {
    return (await this.#parse(file, text)).problems;
  }

  #asked(): readonly ConfigFile[] {
    return this.files.filter(({ owner }) => owner === "user" || this.#deps.trusted());
  }

  async #read(file: ConfigFile): Promise<FileProblems> {
    let text: string;
    try {
      text = await readStart(file.path);
    } catch (error) {
      this.#good.delete(file.path);
      if (["ENOENT", "ENOTDIR"].includes(errorCode(error) ?? "")) return { file, problems: [] };
      const start = { line: 0, character: 0 };
      const message = `The file could not be read: ${messageOf(error)}`;
      return { file, problems: [{ severity: "error", message, from: start, to: start }] };
    }
    const { values, problems } = await this.#parse(file, text);
    if (values) this.#good.set(file.path, values);
    return { file, problems };
  }

  async #parse({ owner }: ConfigFile, text: string) {
    // Loaded on demand: most folders have no such file, and the first model request does not wait for a parser.
    const { parseConfigFile } = await import("../configFile.ts");
    return parseConfigFile(text, owner, this.#deps.environment);
  }
}

/** Makes the owner's `config.yaml`, with every setting explained in it, unless it is there; gives its path. */
export async function createConfigFile(files: ConfigFiles, owner: ConfigOwner): Promise<string> {
  const { configFileTemplate } = await import("../configSchema.ts");
  const file = files.files.findLast((candidate) => candidate.owner === owner) ?? files.files.at(-1);
  if (!file) throw new Error("There is always the user's file.");
  await mkdir(dirname(file.path), { recursive: true });
  await writeFile(file.path, configFileTemplate(file.owner), { flag: "wx" }).catch((error: unknown) => {
    if (errorCode(error) !== "EEXIST") throw error;
  });
  return file.path;
}

/** One line for a terminal or a message: where, and what. */
export function describeProblem({ path }: ConfigFile, { message, from }: ConfigProblem): string {
  return `${path}:${from.line + 1}:${from.character + 1}: ${message}`;
}

function toFiles(owner: ConfigOwner, folder: string): readonly ConfigFile[] {
  return names.map((name) => ({ owner, path: join(folder, name) }));
}

/** More than a configuration may be is not read: what is there is then too long in any case. */
const maxBytes = 1024 * 1024;

async function readStart(path: string): Promise<string> {
  const stats = await stat(path);
  // Asked before opening: opening a named pipe would wait for its other end.
  if (!stats.isFile()) throw new Error("it is not a regular file.");
  const file = await open(path);
  try {
    if (stats.size <= maxBytes) return await readFile(file, "utf8");
    const { bytesRead, buffer } = await file.read(Buffer.alloc(maxBytes), 0, maxBytes, 0);
    return buffer.toString("utf8", 0, bytesRead);
  } finally {
    await file.close();
  }
}
