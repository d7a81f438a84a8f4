/**
 * What a command changed: the files before it, those after it, and the bytes to bring every one back.
 *
 * An adapter's part. Not here: which commands are dangerous (`tools/destructive.ts`), recording (`session/`). Easily got
 * wrong: a file that merely came into sight (its ignore rule went) is not new, or undo would delete it; and git's bytes of
 * a clean file are used only if they are as long as the file was, because filters and line endings may alter them.
 */
import { lstatSync, type Stats } from "node:fs";
import { dirname, join } from "node:path";
import { setImmediate as nextTask } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { ToolError } from "../base/errors.ts";
import type { BlobId, FileChange } from "../protocol/types.ts";
import { countLines } from "../text/diff.ts";
import { decodeText, type Encoding, encodingByMark, utf8 } from "../text/encoding.ts";
import { maxFileBytes, readFileBytes } from "./fileBytes.ts";
import { type GitListing, type GitPlace, listGitFiles, listGitPaths, readGitObjects } from "./gitFiles.ts";
import { findReach, walkFiles } from "./reach.ts";
import type { ChangeScope, ChangeSnapshot, ChangeSurvey, FileBytes, FoundChanges, KeepBytes } from "./workspace.ts";

/** What is looked at. */
export interface ScannedFolder {
  /** As it was opened: the root of URIs. */
  readonly root: string;
  /** With its links followed. */
  readonly realRoot: string;
  /** Environment of git. */
  readonly environment: GitPlace["environment"];
  /** The encoding that the user has for a file. */
  readonly encodingOf?: (uri: string) => Promise<Encoding>;
}

/** Files whose bytes are kept for one command, and that it may change with a record. */
const maxKeptFiles = 2_000;
/** Bytes kept for one command: 64 MB. As much again and no more is stored of what it made. */
const maxKeptBytes = 64 * 1024 * 1024;
/** Files of one ignored folder: a part of a larger one (`node_modules`) would be of no use, and cost seconds. */
const maxIgnoredFiles = 500;
/** Files looked at with git. */
const maxFiles = 100_000;
/** Entries looked at without git. */
const maxEntries = 20_000;
/** Folders that are not looked into without git: made by tools, and large. */
const skipped: ReadonlySet<string> = new Set(["node_modules", ".hg", ".svn", ".venv", "__pycache__"]);
/** Milliseconds within which two changes of a file can have the same times. */
const racyMs = 20;
/** Bytes of the largest text whose lines are counted. */
const maxCountedBytes = 1024 * 1024;

/** The part of `stat` that changes whenever a file does. */
type Print = Pick<Stats, "size" | "mtimeMs" | "ctimeMs" | "ino" | "mode"> & {
  readonly kind: "file" | "link" | "other";
};

/** The folder as it is before a command. */
interface Scan {
  readonly git: GitListing | undefined;
  readonly prints: ReadonlyMap<string, Print>;
  /** Files to keep the bytes of, within the bounds. */
  readonly keep: readonly string[];
  readonly gaps: readonly string[];
  readonly present: readonly string[];
  /** Not everything was looked at, so that what turns up later is not known to be new. */
  readonly truncated: boolean;
  readonly at: number;
}

/** Looks without storing anything. */
export async function surveyFolder(
  folder: ScannedFolder,
  scope: ChangeScope,
  signal: AbortSignal,
): Promise<ChangeSurvey> {
  const { keep, gaps, present } = await scanFolder(folder, scope, signal);
  return { files: keep.length, gaps, present };
}

/** Stores the bytes that could be lost. Rejects as `keepBytes` does. */
export async function snapshotFolder(
  folder: ScannedFolder,
  scope: ChangeScope,
  keepBytes: KeepBytes,
  signal: AbortSignal,
): Promise<ChangeSnapshot> {
  const scan = await scanFolder(folder, scope, signal);
  const kept = new Map<string, KeptFile>();
  const unread: string[] = [];
  await eachOf(scan.keep, async (path) => {
    signal.throwIfAborted();
    const file = await tryRead(folder, path);
    if (file) kept.set(path, { blob: await keepBytes(file.bytes), bytes: file.bytes });
    else unread.push(path);
  });
  const gaps = unread.length === 0 ? scan.gaps : [...scan.gaps, `${some(unread)}, which could not be read`];
  return {
    files: kept.size,
    gaps,
    present: scan.present,
    changes: (later) => findChanges(folder, { ...scan, kept }, keepBytes, later),
  };
}

async function scanFolder(folder: ScannedFolder, scope: ChangeScope, signal: AbortSignal): Promise<Scan> {
  const at = Date.now();
  const git = await listGitFiles({ cwd: folder.realRoot, environment: folder.environment }, signal);
  const named = [
    ...scope.paths,
    ...(scope.ignored ? (git?.hidden ?? []) : []),
    ...(scope.anything && !git ? ["."] : []),
  ];
  const reach = await findReach(folder.realRoot, named, maxEntries, signal);
  const all = git
    ? { files: [...new Set([...git.dirty, ...git.indexed.keys()])], truncated: false }
    : await walkFiles({ root: folder.realRoot, folder: "", limit: maxEntries, skip: skipped }, signal);
  const large = largeFolders(reach.files, git);
  const reached = reach.files.filter((path) => !large.has(ignoredFolderOf(path, git)));
  const prints = await printAll(folder, [...new Set([...reached, ...all.files.slice(0, maxFiles)])], signal);
  const wanted = new Set(git?.dirty ?? []);
  // A clean file comes back from git, unless the command can destroy that as well.
  for (const path of reached) if (reach.git || !git?.indexed.has(path)) wanted.add(path);
  const budget = withinBounds(wanted, prints);
  const links = [...new Set([...wanted, ...reached])].filter((path) => prints.get(path)?.kind === "link");
  const cut = all.truncated || all.files.length > maxFiles;
  const gaps = [
    ...(budget.over.length > 0 ? [`${some(budget.over)} (over the limit of 2,000 files and 64 MB)`] : []),
    ...(large.size > 0 ? [`${some([...large])} (ignored, over the limit of ${maxIgnoredFiles} files)`] : []),
    ...(reach.truncated ? [`files beyond the first ${maxEntries} that it names`] : []),
    ...(links.length > 0 ? [`the symbolic link ${some(links)}`] : []),
    ...(reach.outside.length > 0 ? [`${some(reach.outside)}, outside of the workspace`] : []),
    ...(reach.git ? ["git's own files: its history, branches, index and stash"] : []),
    ...(scope.anything && git && git.hidden.size > 0 ? ["files that git ignores, if it reaches them"] : []),
    ...(git ? [] : ["files that Hermes has not changed itself, because there is no git repository here"]),
    ...(cut ? [`files beyond the first ${git ? maxFiles : maxEntries} of the workspace`] : []),
  ];
  return { git, prints, keep: budget.keep, gaps, present: reach.present, truncated: cut, at };
}

/** Ignored folders of which more files are reached than are kept of one. */
function largeFolders(files: readonly string[], git: GitListing | undefined): ReadonlySet<string> {
  const counts = new Map<string, number>();
  for (const path of files) {
    const folder = ignoredFolderOf(path, git);
    if (folder !== "") counts.set(folder, (counts.get(folder) ?? 0) + 1);
  }
  return new Set([...counts].flatMap(([folder, count]) => (count > maxIgnoredFiles ? [folder] : [])));
}

/** The outermost ignored folder that a file is in, with `/`; "" when it is in none. */
function ignoredFolderOf(path: string, git: GitListing | undefined): string {
  for (let at = path.indexOf("/"); at !== -1; at = path.indexOf("/", at + 1)) {
    const folder = path.slice(0, at + 1);
    const name = path.slice(path.lastIndexOf("/", at - 1) + 1, at);
    if (git ? git.hidden.has(folder) : skipped.has(name)) return folder;
  }
  return "";
}

function withinBounds(wanted: ReadonlySet<string>, prints: ReadonlyMap<string, Print>) {
  const keep: string[] = [];
  const over: string[] = [];
  let bytes = 0;
  for (const path of wanted) {
    const print = prints.get(path);
    if (print?.kind !== "file") continue;
    if (keep.length < maxKeptFiles && bytes + print.size <= maxKeptBytes) {
      keep.push(path);
      bytes += print.size;
    } else over.push(path);
  }
  return { keep, over };
}

/** In slices, because one `lstat` takes a few microseconds, and a promise for each takes ten times that. */
async function printAll(
  { realRoot }: ScannedFolder,
  paths: readonly string[],
  signal: AbortSignal,
): Promise<Map<string, Print>> {
  const prints = new Map<string, Print>();
  for (const [index, path] of paths.entries()) {
    if (index % 1_000 === 999) await nextTask();
    signal.throwIfAborted();
    const print = printOf(join(realRoot, path));
    if (print) prints.set(path, print);
  }
  return prints;
}

function printOf(path: string): Print | undefined {
  try {
    const stats = lstatSync(path, { throwIfNoEntry: false });
    if (!stats) return undefined;
    const kind = stats.isFile() ? "file" : stats.isSymbolicLink() ? "link" : "other";
    return { ...pick(stats), kind };
  } catch {
    // A parent is a file now, or may not be entered: as good as gone.
    return undefined;
  }
}

function pick({ size, mtimeMs, ctimeMs, ino, mode }: Stats) {
  return { size, mtimeMs, ctimeMs, ino, mode };
}

function samePrint(a: Print, b: Print): boolean {
  return (
    a.size === b.size && a.mtimeMs === b.mtimeMs && a.ctimeMs === b.ctimeMs && a.ino === b.ino && a.mode === b.mode
  );
}

/** Its bytes stay in memory while the command runs, to compare with; the budget bounds them. */
interface KeptFile {
  readonly blob: BlobId;
  readonly bytes: Uint8Array;
}

interface Before extends Scan {
  readonly kept: ReadonlyMap<string, KeptFile>;
}

async function findChanges(
  folder: ScannedFolder,
  before: Before,
  keepBytes: KeepBytes,
  signal: AbortSignal,
): Promise<FoundChanges> {
  const touched = await touchedPaths(folder, before, signal);
  const former = await formerBytes(folder, before, touched.slice(0, maxKeptFiles), signal);
  const changes: FileChange[] = [];
  const lost = touched.slice(maxKeptFiles);
  let stored = 0;
  for (const path of touched.slice(0, maxKeptFiles)) {
    signal.throwIfAborted();
    const print = before.prints.get(path);
    const old = print === undefined ? null : (before.kept.get(path)?.bytes ?? former.get(path));
    const now = await tryRead(folder, path);
    stored += now?.bytes.length ?? 0;
    if (old === undefined || now === undefined || stored > maxKeptBytes) {
      // Folders in the index are submodules' or nested; and what only looks touched has the size and mode it had.
      if (print?.kind !== "other" && !(print && now && sameMeta(print, now))) lost.push(path);
    } else {
      const change = await changeOf({ print, old, now }, keepBytes);
      if (!change) continue;
      const uri = pathToFileURL(join(folder.root, path)).href;
      const encoding = await encodingOfImages(folder, uri, [old, now?.bytes ?? null]);
      const madeFolders = print === undefined ? countMadeFolders(folder, path, before.at) : 0;
      changes.push({
        uri,
        ...change,
        ...(encoding === undefined ? {} : { encoding }),
        ...(madeFolders > 0 ? { madeFolders } : {}),
      });
    }
  }
  return { changes, lost };
}

/** The folders of a new file, from the innermost, that have been made since a time. A disk without such times has none. */
function countMadeFolders({ realRoot }: ScannedFolder, path: string, since: number): number {
  let count = 0;
  for (let folder = dirname(path); folder !== "."; folder = dirname(folder), count += 1) {
    const made = lstatSync(join(realRoot, folder), { throwIfNoEntry: false })?.birthtimeMs ?? 0;
    if (made < since - racyMs) break;
  }
  return count;
}

/** `undefined` when nothing has changed. */
async function changeOf(
  file: { readonly print: Print | undefined; readonly old: Uint8Array | null; readonly now: FileBytes | null },
  keepBytes: KeepBytes,
): Promise<Omit<FileChange, "uri"> | undefined> {
  const { print, old, now } = file;
  const mode = print && print.mode & 0o7777;
  const modeChanged = mode !== undefined && now !== null && mode !== now.mode;
  const same = (old === null) === (now === null) && Buffer.compare(old ?? none, now?.bytes ?? none) === 0;
  if (same && !modeChanged) return undefined;
  return {
    before: old && (await keepBytes(old)),
    after: now && (await keepBytes(now.bytes)),
    ...(same ? noLines : linesOf(old, now?.bytes ?? null)),
    ...(mode === undefined ? {} : { mode }),
    ...(modeChanged ? { modeAfter: now.mode } : {}),
  };
}

const none = new Uint8Array();
const noLines = { addedLines: 0, removedLines: 0 };

function sameMeta(print: Print, after: FileBytes): boolean {
  return print.kind === "file" && print.size === after.bytes.length && (print.mode & 0o7777) === after.mode;
}

/** Paths that are not as they were, in order: changed, gone, or new. */
async function touchedPaths(folder: ScannedFolder, before: Before, signal: AbortSignal): Promise<readonly string[]> {
  const place = { cwd: folder.realRoot, environment: folder.environment };
  const listed = before.git && (await listGitPaths(place, signal));
  const now =
    listed ?? (await walkFiles({ root: folder.realRoot, folder: "", limit: maxEntries, skip: skipped }, signal)).files;
  const prints = await printAll(folder, [...before.prints.keys()], signal);
  const touched: string[] = [];
  for (const [path, print] of before.prints) {
    const later = prints.get(path);
    const racy = print.ctimeMs >= before.at - racyMs && print.kind === "file";
    if (later === undefined || racy || !samePrint(print, later)) touched.push(path);
  }
  if (!before.truncated) {
    const { git } = before;
    const wasHidden = (path: string) => git?.hidden.has(path) || ignoredFolderOf(path, git) !== "";
    touched.push(...now.filter((path) => !before.prints.has(path) && !wasHidden(path) && exists(folder, path)));
  }
  return touched.sort((a, b) => (a < b ? -1 : 1));
}

function exists({ realRoot }: ScannedFolder, path: string): boolean {
  return printOf(join(realRoot, path)) !== undefined;
}

/** The bytes that clean files had, from git. Where it cannot be sure of them, a file is left out. */
async function formerBytes(
  folder: ScannedFolder,
  before: Before,
  touched: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const { git, kept, prints } = before;
  const former = new Map<string, Uint8Array>();
  if (!git) return former;
  const wanted: { readonly path: string; readonly oid: string; readonly size: number }[] = [];
  let bytes = 0;
  for (const path of touched) {
    const print = prints.get(path);
    const indexed = git.indexed.get(path);
    if (kept.has(path) || git.dirty.has(path) || !indexed || print?.kind !== "file") continue;
    bytes += print.size;
    if (bytes <= maxFileBytes) wanted.push({ path, oid: indexed.oid, size: print.size });
  }
  const place = { cwd: folder.realRoot, environment: folder.environment };
  const objects = await readGitObjects(place, [...wanted.map(({ oid }) => oid)], signal);
  for (const { path, oid, size } of wanted) {
    const exact = [objects.get(oid)].flatMap((object) => (object ? [object, withCrlf(object)] : []));
    const match = exact.find((candidate) => candidate.length === size);
    if (match) former.set(path, match);
  }
  return former;
}

/** As `core.autocrlf` and `eol=crlf` write a file. */
function withCrlf(bytes: Buffer): Buffer {
  return Buffer.from(bytes.toString("latin1").replaceAll(/\r?\n/g, "\r\n"), "latin1");
}

/** `null` when there is no file any more, `undefined` for what is no file or cannot be read. */
async function tryRead({ realRoot }: ScannedFolder, path: string): Promise<FileBytes | null | undefined> {
  try {
    return await readFileBytes({ linkPath: join(realRoot, path), path });
  } catch (error) {
    if (error instanceof ToolError) return undefined;
    throw error;
  }
}

/** How both images are text, where that is not UTF-8; `undefined` as well for what is no text. */
async function encodingOfImages(
  { encodingOf }: ScannedFolder,
  uri: string,
  images: readonly (Uint8Array | null)[],
): Promise<Encoding | undefined> {
  const bytes = images.filter((image) => image !== null);
  const decodes = async (encoding: Encoding) =>
    (await Promise.all(bytes.map((image) => decodeText(image, encoding)))).every((text) => text !== undefined);
  const marked = bytes.map(encodingByMark).find((encoding) => encoding !== undefined);
  if (marked !== undefined && marked !== utf8) return (await decodes(marked)) ? marked : undefined;
  if (bytes.some((image) => image.includes(0)) || (await decodes(utf8))) return undefined;
  const encoding = await encodingOf?.(uri);
  return encoding !== undefined && (await decodes(encoding)) ? encoding : undefined;
}

function linesOf(before: Uint8Array | null, after: Uint8Array | null): Pick<FileChange, "addedLines" | "removedLines"> {
  const [old, now] = [textOf(before), textOf(after)];
  return old === undefined || now === undefined ? noLines : countLines(old, now);
}

function textOf(bytes: Uint8Array | null): string | null | undefined {
  if (bytes === null) return null;
  if (bytes.length > maxCountedBytes || bytes.includes(0)) return undefined;
  return Buffer.from(bytes).toString("utf8");
}

/** Eight at a time: each waits for the disk. */
async function eachOf<Item>(items: readonly Item[], use: (item: Item) => Promise<void>): Promise<void> {
  const queue = items.values();
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      for (const item of queue) await use(item);
    }),
  );
}

function some(paths: readonly string[]): string {
  const shown = paths.slice(0, 3).join(", ");
  return paths.length > 3 ? `${shown} and ${paths.length - 3} more` : shown;
}
