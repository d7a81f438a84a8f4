/**
 * Lays an editor's open documents over another workspace: unsaved text is what the agent reads, edits go through the
 * editor as one undo step.
 *
 * Not here: how the editor is reached (an `EditorPort` from `main/`). Easily got wrong: editors keep neither byte order
 * marks nor mixed line endings in a document, so "same as on disk" is judged without them; and a document that the user
 * changed is never saved, only edited.
 */
import { fileURLToPath } from "node:url";
import { LRUCache } from "lru-cache";
import { type Clock, systemClock } from "../base/async.ts";
import { ToolError } from "../base/errors.ts";
import { textDigest } from "../protocol/textDigest.ts";
import type { FileChange } from "../protocol/types.ts";
import { formattingWithin } from "../text/formatting.ts";
import { fromLf, lineStyleOf, sameButForEndings, toLf, withoutBom } from "../text/lineEndings.ts";
import { type DocumentEdit, toDocumentEdits } from "./documentEdits.ts";
import { matchesGlob } from "./ignore.ts";
import { createQueues } from "./queues.ts";
import { refuseReadOnly } from "./textFile.ts";
import type {
  FileText,
  FoundChanges,
  MoveOutcome,
  Problem,
  SearchHit,
  SearchOutcome,
  SearchQuery,
  SwapOptions,
  SwapOutcome,
  TextSearch,
  Version,
  Workspace,
} from "./workspace.ts";

/** A document as the editor holds it. */
export interface OpenDocument {
  readonly text: string;
  /** Grows with every change. */
  readonly version: number;
}

/** What the editor can do. URIs are as `pathToFileURL` writes them; the port matches them to the editor's own spelling. */
export interface EditorPort {
  /** URIs of the documents that are open. */
  readonly openDocuments: () => readonly string[];
  readonly openDocument: (uri: string) => OpenDocument | undefined;
  /** Applies the edits as one undo step if the document is still as `known`; `false` when it is not, or was closed. */
  readonly applyEdit: (uri: string, known: OpenDocument, edits: readonly DocumentEdit[]) => Promise<boolean>;
  /** Saves the document if it has the text of `known`; `false` when it was not saved. */
  readonly save: (uri: string, known: OpenDocument) => Promise<boolean>;
  /** The encoding of a document, or the one that the user has set for a file. UTF-8 when absent. */
  readonly encodingOf?: (uri: string) => Promise<string>;
  /**
   * Renames a file in the editor, an open document with its unsaved text; `false` when it refused or cannot. Absent
   * where there is no editor.
   */
  readonly renameFile?: (from: string, to: string) => Promise<boolean>;
  /** Numbers saves of any document from 1: the number of the latest, of all or of one document; 0 when there was none. */
  readonly lastSave?: (uri?: string) => number;
  /**
   * What format on save would make of the file with this text, without changing it; `undefined` when nothing formats it,
   * it has another text, or that is not known in time. `whole` is false where only changed lines are to be formatted.
   */
  readonly formatAside?: (uri: string, text: string, signal: AbortSignal) => Promise<Formatting | undefined>;
  /** The problems of the document with exactly this text; `undefined` when they are not known within `waitMs`. */
  readonly problems?: (
    uri: string,
    text: string,
    waitMs: number,
    signal: AbortSignal,
  ) => Promise<readonly Problem[] | undefined>;
}

/** A formatted text. */
export interface Formatting {
  readonly text: string;
  readonly whole: boolean;
}

/** How often a swap looks again after the editor refused an edit, before it gives up as stale. */
const maxLooks = 3;
/** Milliseconds to wait for the editor to tell of an edit that it has just applied. */
const newsMs = 1_000;
const pollMs = 5;
/** Saved files that are known to be formatted; the latest ones. */
const maxSavedVersions = 200;

/** Makes the workspace. Whatever is not about open documents is the business of `base`. */
export function createEditorWorkspace(
  base: Workspace & TextSearch,
  port: EditorPort,
  clock: Pick<Clock, "sleep"> = systemClock,
): Workspace {
  const swaps = createQueues();
  const { moveFile: baseMove } = base;
  /** Files as they were saved after an edit: saving has formatted them. */
  const savedVersions = new LRUCache<string, Version>({ max: maxSavedVersions });

  /** The file as it is in the editor; `undefined` when it is not open there. */
  async function readOpen(uri: string, signal: AbortSignal): Promise<OpenFile | undefined> {
    if (!port.openDocument(uri)) return undefined;
    const disk = await readIfReadable(base, uri, signal);
    // Asked again: the document may have changed, or closed, while the disk was read.
    const document = port.openDocument(uri);
    return document && { document, file: toFileText(uri, document.text, disk) };
  }

  async function currentOf(uri: string, signal: AbortSignal): Promise<FileText | null> {
    return (await readOpen(uri, signal))?.file ?? (await readIfReadable(base, uri, signal)) ?? null;
  }

  async function swapOpen(uri: string, change: Change, signal: AbortSignal): Promise<SwapOutcome> {
    for (let looks = 1; ; looks += 1) {
      const open = await readOpen(uri, signal);
      if (!open) return base.swap(uri, change.version, change.text, signal, change.options);
      const { document, file } = open;
      if (file.version !== change.version) return { applied: false, reason: "stale", current: file };
      if (change.text === null && file.source === "buffer") throw refuseDeletion(uri);
      // An edit of a document cannot change its line endings; the editor reloads a clean one when the disk does.
      if (change.text === null || (file.source === "disk" && endingsDiffer(file.text, change.text))) {
        return base.swap(uri, change.version, change.text, signal, change.options);
      }
      if (file.source === "disk" && file.mode !== undefined) refuseReadOnly(uri, file.mode);
      signal.throwIfAborted();
      const edits = toDocumentEdits(document.text, change.text);
      if (edits.length === 0) return { applied: true, file };
      if (await port.applyEdit(uri, document, edits)) {
        return { applied: true, file: await afterEdit(uri, open, change.text) };
      }
      if (looks === maxLooks) return { applied: false, reason: "stale", current: await currentOf(uri, signal) };
      await newsOf(uri, document);
    }
  }

  /** Saves a document that was clean before the edit, and gives the file as the agent wrote it. */
  async function afterEdit(uri: string, before: OpenFile, text: string): Promise<FileText> {
    await newsOf(uri, before.document);
    const edited = port.openDocument(uri);
    const isOurs = edited !== undefined && sameButForEndings(edited.text, text);
    const isClean = isOurs && before.file.source === "disk" && (await hasOnDisk(uri, before.file));
    if (isClean && (await port.save(uri, edited))) {
      // Saving may format: what is there then is the outcome of this edit.
      const saved = await currentOf(uri, neverAborted);
      if (saved) {
        savedVersions.set(uri, saved.version);
        return saved;
      }
    }
    // If the user has typed since, that is a later version, for the next swap to find.
    return toFileText(uri, inStyleOf(text, before.document.text), undefined);
  }

  /** Whether nobody has saved meanwhile: what they did may be undone in the editor, and then only the disk has it. */
  async function hasOnDisk(uri: string, { version }: FileText): Promise<boolean> {
    return (await readIfReadable(base, uri, neverAborted))?.version === version;
  }

  /** The edit's outcome and the news of it come on two ways; waits until the second has arrived as well. */
  async function newsOf(uri: string, known: OpenDocument): Promise<void> {
    for (let waited = 0; waited < newsMs && port.openDocument(uri)?.version === known.version; waited += pollMs) {
      await clock.sleep(pollMs, neverAborted);
    }
  }

  async function dirtyDocuments(signal: AbortSignal): Promise<DirtyDocument[]> {
    const dirty: DirtyDocument[] = [];
    for (const opened of port.openDocuments()) {
      if (!opened.startsWith("file:")) continue;
      const { uri, path, inside, ignored } = await base.resolve(opened);
      const open = await readOpen(uri, signal);
      if (open?.file.source === "buffer") dirty.push({ path, text: open.file.text, visible: inside && !ignored });
    }
    return dirty;
  }

  async function search(query: SearchQuery, signal: AbortSignal): Promise<SearchOutcome> {
    const dirty = await dirtyDocuments(signal);
    if (dirty.length === 0) return base.search(query, signal);
    const target = query.path === undefined ? "." : (await base.resolve(query.path)).path;
    const isTarget = ({ path, visible }: DirtyDocument) =>
      path === target ||
      (visible &&
        (target === "." || path.startsWith(`${target}/`)) &&
        (query.glob === undefined || matchesGlob(query.glob, path)));
    // Hits in dirty files are dropped from what the disk gives, so it is asked for more.
    const found = await base.search({ ...query, limit: query.limit + maxDropped }, signal);
    const paths = new Set(dirty.map(({ path }) => path));
    const hits = found.hits.filter((hit) => !paths.has(hit.path));
    let { truncated } = found;
    for (const document of dirty.filter(isTarget)) {
      const own = await base.searchText(document, query, signal);
      hits.push(...own.hits);
      truncated ||= own.truncated;
    }
    const ordered = inPathOrder(hits);
    return { hits: ordered.slice(0, query.limit), truncated: truncated || ordered.length > query.limit };
  }

  /** Through the editor where the file is open, so that what is typed there goes along and comes to no old name. */
  async function moveFile(move: BaseMove, from: string, to: string, signal: AbortSignal): Promise<MoveOutcome> {
    const open = await readOpen(from, signal);
    if (!open) return move(from, to, signal);
    if (await isTaken(from, to, signal)) return move(from, to, signal);
    signal.throwIfAborted();
    if (port.renameFile && (await port.renameFile(from, to))) {
      await newsOf(from, open.document);
      for (let waited = 0; waited < newsMs && !port.openDocument(to); waited += pollMs)
        await clock.sleep(pollMs, signal);
      return "moved";
    }
    if (open.file.source === "disk") return move(from, to, signal);
    throw new ToolError(
      `${from} is open in the editor with unsaved changes, and the editor did not move it. Ask the user to save it first.`,
    );
  }

  /** On a disk that ignores case, a file is in the way of its own new spelling. */
  async function isTaken(from: string, to: string, signal: AbortSignal): Promise<boolean> {
    if (!(await base.findTree?.(to, 1, signal))) return false;
    const [source, target] = await Promise.all([base.resolve(from), base.resolve(to)]);
    return source.uri !== target.uri || from.toLowerCase() !== to.toLowerCase();
  }

  async function isDirty(path: string, signal: AbortSignal): Promise<boolean> {
    const { uri } = await base.resolve(path);
    return (await readOpen(uri, signal))?.file.source === "buffer";
  }

  return {
    root: base.root,
    resolve: (path) => base.resolve(path),
    read: async (path, signal) => {
      const { uri } = await base.resolve(path);
      return (await readOpen(uri, signal))?.file ?? base.read(uri, signal);
    },
    swap: async (path, version, text, signal, options) => {
      const { uri } = await base.resolve(path);
      return swaps.run(uri, () => swapOpen(uri, { version, text, ...(options ? { options } : {}) }, signal));
    },
    ...(base.encodingOf && { encodingOf: base.encodingOf }),
    formatted: async (file, before, signal) =>
      savedVersions.get(file.uri) === file.version ? null : formattedBy(port, file, before, signal),
    problems: async (file, waitMs, signal) => port.problems?.(file.uri, withoutBom(file.text), waitMs, signal),
    setMode: async (path, mode, signal) => base.setMode?.(path, mode, signal),
    ...bytesOf(base, isDirty),
    ...foldersOf(base),
    ...(baseMove && { moveFile: (...about) => moveFile(baseMove, ...about) }),
    ...changesOf(base, port),
    list: (path, options, signal) => base.list(path, options, signal),
    search,
    run: (options, signal) => base.run(options, signal),
  };
}

async function formattedBy(
  port: EditorPort,
  file: FileText,
  before: string | null,
  signal: AbortSignal,
): Promise<string | null> {
  const formatting = await port.formatAside?.(file.uri, withoutBom(file.text), signal);
  if (!formatting) return null;
  const isWhole = before === null || (formatting.whole && file.source === "disk");
  const text = isWhole ? formatting.text : formattingWithin(withoutBom(before), withoutBom(file.text), formatting.text);
  return sameButForEndings(text, file.text) ? null : fromLf(toLf(text), lineStyleOf(file.text));
}

/** Bytes are the disk's business, but never under unsaved text. */
function bytesOf(
  base: Workspace,
  isDirty: (path: string, signal: AbortSignal) => Promise<boolean>,
): Pick<Workspace, "readBytes" | "swapBytes"> {
  const { readBytes, swapBytes } = base;
  return {
    ...(readBytes && { readBytes }),
    ...(swapBytes && {
      swapBytes: async (path, expected, replacement, signal) => {
        if (!(await isDirty(path, signal))) return swapBytes(path, expected, replacement, signal);
        throw new ToolError(`${path} is open in the editor with unsaved changes, so it was left as it is.`);
      },
    }),
  };
}

type BaseMove = NonNullable<Workspace["moveFile"]>;

/** Folders are the disk's alone. */
function foldersOf(base: Workspace): Pick<Workspace, "findTree" | "removeFolder" | "countMissingFolders"> {
  const { findTree, removeFolder, countMissingFolders } = base;
  return {
    ...(findTree && { findTree }),
    ...(removeFolder && { removeFolder }),
    ...(countMissingFolders && { countMissingFolders }),
  };
}

/** What a command changed, without what was saved in the editor while it ran: undoing that would take away typing. */
function changesOf(base: Workspace, port: EditorPort): Pick<Workspace, "surveyChanges" | "snapshotChanges"> {
  const { surveyChanges, snapshotChanges } = base;
  const withoutSaved = ({ changes, lost }: FoundChanges, since: number): FoundChanges => {
    const isSaved = ({ uri }: FileChange) => (port.lastSave?.(uri) ?? 0) > since;
    return { changes: changes.filter((change) => !isSaved(change)), lost, saved: changes.filter(isSaved).map(toPath) };
  };
  return {
    ...(surveyChanges && { surveyChanges }),
    ...(snapshotChanges && {
      snapshotChanges: async (...about) => {
        const since = port.lastSave?.() ?? 0;
        const snapshot = await snapshotChanges(...about);
        return { ...snapshot, changes: async (signal) => withoutSaved(await snapshot.changes(signal), since) };
      },
    }),
  };
}

function toPath({ uri }: FileChange): string {
  return fileURLToPath(uri);
}

/** How many hits in files with unsaved text may be dropped before fewer than asked for are left. */
const maxDropped = 1_000;

interface OpenFile {
  readonly document: OpenDocument;
  readonly file: FileText;
}

interface Change {
  readonly version: Version | null;
  readonly text: string | null;
  readonly options?: SwapOptions;
}

interface DirtyDocument {
  readonly path: string;
  readonly text: string;
  readonly visible: boolean;
}

const neverAborted = new AbortController().signal;

/** A file that is missing, or that the disk cannot give as text while the editor can (Latin-1), is `undefined`. */
async function readIfReadable(base: Workspace, uri: string, signal: AbortSignal): Promise<FileText | undefined> {
  try {
    return await base.read(uri, signal);
  } catch (error) {
    if (error instanceof ToolError) return undefined;
    throw error;
  }
}

/**
 * Unsaved text has a version of its own, by its content: the editor's number would change when a document is closed and
 * opened again, and be behind right after an edit.
 */
function toFileText(uri: string, text: string, disk: FileText | undefined): FileText {
  if (disk && sameButForEndings(disk.text, text)) return disk;
  const version = `buffer:${textDigest(text)}` as Version;
  return {
    uri,
    text,
    version,
    source: "buffer",
    ...(disk?.mode === undefined ? {} : { mode: disk.mode }),
    ...(disk?.encoding === undefined ? {} : { encoding: disk.encoding }),
  };
}

function endingsDiffer(a: string, b: string): boolean {
  const [one, other] = [lineStyleOf(a), lineStyleOf(b)];
  const multiline = a.includes("\n") && b.includes("\n");
  return one.bom !== other.bom || (multiline && one.ending !== other.ending);
}

function inStyleOf(text: string, document: string): string {
  return fromLf(text, { bom: false, ending: lineStyleOf(document).ending });
}

function refuseDeletion(uri: string): ToolError {
  return new ToolError(
    `${uri} is open in the editor with unsaved changes, so it was not deleted. Ask the user to save or close it first.`,
  );
}

/** Hits as ripgrep sorts them: by the steps of the path. Those of one file stay in order. */
export function inPathOrder(hits: readonly SearchHit[]): SearchHit[] {
  const keyed = hits.map((hit) => ({ hit, key: hit.path.replaceAll("/", "\0") }));
  return keyed.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)).map(({ hit }) => hit);
}
