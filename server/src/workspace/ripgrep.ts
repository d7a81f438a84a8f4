/**
 * Search by ripgrep: finding the program, running it, and reading its JSON lines within bounds.
 *
 * An adapter's part: it starts the process. Not here: which paths are hidden beyond what ripgrep knows (`disk.ts` filters).
 * Easily got wrong: output is read only as far as it is needed, and ripgrep is ended as soon as the limit is passed.
 */
import { spawn } from "node:child_process";
import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { delimiter, join } from "node:path";
import { ToolError } from "../base/errors.ts";
import { createHitCollector } from "./searchHits.ts";
import type { SearchOutcome, SearchQuery } from "./workspace.ts";

/** Where to look for ripgrep, besides the package that ships it. */
export interface RipgrepSources {
  /** A path that someone configured; wins if it exists. */
  readonly configured?: string | undefined;
  /** The editor's own ripgrep, or the folder of its application. */
  readonly editorPath?: string | undefined;
  /** The `PATH` to look through last. */
  readonly path?: string | undefined;
}

const program = process.platform === "win32" ? "rg.exe" : "rg";
const platformPackage = `@vscode/ripgrep-${process.platform}-${process.arch}`;

/** Where ripgrep lies below the folder of an editor's application. */
const insideEditor = [
  ["node_modules", ...platformPackage.split("/"), "bin", program],
  ["node_modules", "@vscode", "ripgrep", "bin", program],
  ["node_modules.asar.unpacked", ...platformPackage.split("/"), "bin", program],
  ["node_modules.asar.unpacked", "@vscode", "ripgrep", "bin", program],
];

/** Finds ripgrep: configured, the package `@vscode/ripgrep`, the editor's, the `PATH`; `undefined` when there is none. */
export async function findRipgrep(sources: RipgrepSources): Promise<string | undefined> {
  const { configured, editorPath, path } = sources;
  const candidates = [
    configured,
    packagedRipgrep(),
    editorPath,
    ...insideEditor.map((parts) => editorPath && join(editorPath, ...parts)),
    ...(path ?? "").split(delimiter).map((folder) => folder && join(folder, program)),
  ];
  for (const candidate of candidates) {
    if (candidate && (await isProgram(candidate))) return candidate;
  }
  return undefined;
}

/** Resolved while running, relative to this file or the bundle it became part of: the package may well be absent. */
function packagedRipgrep(): string | undefined {
  try {
    const here = createRequire(import.meta.url);
    try {
      return here.resolve(`${platformPackage}/bin/${program}`);
    } catch {
      return createRequire(here.resolve("@vscode/ripgrep")).resolve(`${platformPackage}/bin/${program}`);
    }
  } catch {
    return undefined;
  }
}

async function isProgram(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}

/** One run of ripgrep. */
export interface RipgrepSearch {
  /** `undefined` when none was found: then it throws a `ToolError` that says how to get one. */
  readonly ripgrepPath: string | undefined;
  readonly root: string;
  /** Relative to the root, or absolute; `-` for `input`. */
  readonly target: string;
  /** Text to search instead of files. */
  readonly input?: string;
  /** Globs in ripgrep's form of what to leave out. */
  readonly excludes: readonly string[];
  /** Search what ignore files hide, because the target itself is hidden and was asked for by name. */
  readonly ignoreFiles: "respected" | "disregarded";
  /** Milliseconds after which the search stops with what it has. */
  readonly timeoutMs: number;
  /** Says which paths (as ripgrep prints them) do not count. */
  readonly hides: (path: string) => Promise<boolean>;
}

/** Searches. Throws `ToolError` when ripgrep is missing or refuses the pattern or the glob. */
export async function searchWithRipgrep(
  query: SearchQuery,
  search: RipgrepSearch,
  signal: AbortSignal,
): Promise<SearchOutcome> {
  if (!search.ripgrepPath) {
    throw new ToolError(
      "Search needs ripgrep, and none was found. Ask the user to install it (`apt install ripgrep`, `brew install ripgrep`, " +
        "`winget install BurntSushi.ripgrep.MSVC`). Until then use the shell with grep.",
    );
  }
  signal.throwIfAborted();
  const child = spawn(search.ripgrepPath, argumentsOf(query, search), {
    cwd: search.root,
    stdio: ["pipe", "pipe", "pipe"],
    windowsHide: true,
  });
  const collector = createHitCollector(query, search.hides);
  let stopped = false;
  const stop = () => {
    stopped = true;
    child.kill("SIGKILL");
  };
  const timer = setTimeout(stop, search.timeoutMs);
  signal.addEventListener("abort", stop, { once: true });
  try {
    // Ends the pipe; ripgrep closes it early when it has enough or refuses the pattern.
    child.stdin.on("error", () => undefined).end(search.input);
    const errors = readErrors(child.stderr);
    const exit = new Promise<number | null>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code) => resolve(code));
    });
    exit.catch(() => undefined);
    for await (const chunk of child.stdout) {
      if (await collector.push(chunk)) continue;
      stop();
      break;
    }
    const code = await exit;
    signal.throwIfAborted();
    const message = (await errors).trim();
    if (!stopped && code !== 0 && code !== 1 && message !== "") throw refusal(query, message);
    return collector.finish(stopped);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stop);
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
  }
}

/**
 * Sorted by path, which makes ripgrep search one file at a time: slower by the number of cores, but the same question
 * always gets the same answer.
 */
function argumentsOf(query: SearchQuery, search: RipgrepSearch): string[] {
  const multiline = !query.literal && /\\n|\n/.test(query.pattern);
  return [
    "--json",
    "--no-config",
    "--no-messages",
    "--hidden",
    "--no-require-git",
    "--no-ignore-global",
    "--no-ignore-dot",
    "--crlf",
    "--sort=path",
    `--context=${query.context}`,
    query.ignoreCase ? "--ignore-case" : "--case-sensitive",
    ...(query.literal ? ["--fixed-strings"] : []),
    ...(multiline ? ["--multiline"] : []),
    ...(search.ignoreFiles === "disregarded" ? ["--no-ignore"] : []),
    ...(query.glob === undefined ? [] : [`--glob=${query.glob}`]),
    ...search.excludes.map((glob) => `--glob=!${glob}`),
    `--regexp=${query.pattern}`,
    "--",
    search.target,
  ];
}

/** The first 4 KB of what ripgrep complains about; the rest is read and dropped so that it never blocks. */
async function readErrors(stream: AsyncIterable<Buffer>): Promise<string> {
  let text = "";
  for await (const chunk of stream) if (text.length < 4_096) text += chunk.toString("utf8");
  return text.slice(0, 4_096);
}

function refusal(query: SearchQuery, message: string): ToolError {
  if (/glob/i.test(message))
    return new ToolError(`The glob ${query.glob ?? ""} is not valid. ripgrep says:\n${message}`);
  const hint = query.literal ? "" : "\nTo search for this very text, set literal to true.";
  return new ToolError(`The pattern could not be searched for. ripgrep says:\n${message}${hint}`);
}
