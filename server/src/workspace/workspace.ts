/**
 * The files as the agent sees them, whatever holds them: a directory, or an editor's unsaved buffers over one.
 *
 * Not here: merging, permissions and what counts as a sensible edit. Easily got wrong: a version is opaque (compare it
 * for equality only), and `swap` never overwrites what its caller has not seen.
 */
import type { BlobId, FileChange } from "../protocol/types.ts";

/** An opaque token that changes whenever the text does. */
export type Version = string & { readonly __brand: "Version" };

/** A text file at one version. */
export interface FileText {
  readonly uri: string;
  /** Exactly what decodes from the bytes: line endings and a byte order mark are kept. */
  readonly text: string;
  readonly version: Version;
  /** `buffer` when an editor holds text that differs from the disk. */
  readonly source: "disk" | "buffer";
  /** Unix permission bits, where there is a file. */
  readonly mode?: number;
  /** Its encoding on disk, as VS Code's setting `files.encoding` names it; absent for UTF-8. */
  readonly encoding?: string;
}

/** How a swap writes. */
export interface SwapOptions {
  /** The encoding to write in; when absent that of the file, and UTF-8 for one that is made. */
  readonly encoding?: string;
}

/** What a swap did. `stale` gives what is there now: `null` when the file is gone. Nothing was written. */
export type SwapOutcome =
  | { readonly applied: true; readonly file: FileText | null }
  | { readonly applied: false; readonly reason: "stale"; readonly current: FileText | null };

/** One line of `list`. */
export interface ListEntry {
  /** Relative to the workspace root, with `/`; folders end in `/`. */
  readonly path: string;
  /** Bytes; absent for folders. */
  readonly size?: number;
}

/** A file or link, found where it is: a link is not followed. */
export interface FoundFile {
  readonly uri: string;
  /** As `ResolvedPath.path`. */
  readonly path: string;
  /** `other`: a pipe, socket or device. */
  readonly kind: "file" | "link" | "other";
  /** Bytes. */
  readonly size: number;
}

/** What is at a path and below it, hidden and ignored entries too. */
export interface FoundTree {
  readonly isFolder: boolean;
  /** The file itself, or all below the folder. */
  readonly files: readonly FoundFile[];
  /** URIs of the folder and those below it, each before what is in it. */
  readonly folders: readonly string[];
  /** Folders in which there is nothing at all. */
  readonly emptyFolders: number;
  /** There are more than asked for. */
  readonly truncated: boolean;
}

/** What became of a move; anything but `moved` has changed nothing. */
export type MoveOutcome = "moved" | "missing" | "taken";

/** What to search for. */
export interface SearchQuery {
  /** A regular expression in ripgrep's syntax, or literal text when `literal`. */
  readonly pattern: string;
  readonly literal?: boolean;
  readonly ignoreCase?: boolean;
  /** A folder or file relative to the root. */
  readonly path?: string;
  readonly glob?: string;
  /** Lines of context around each hit. */
  readonly context: number;
  /** Stop after this many hits. */
  readonly limit: number;
}

/** One hit with the lines around it; lines count from 1. */
export interface SearchHit {
  readonly path: string;
  readonly line: number;
  readonly text: string;
  readonly before: readonly string[];
  readonly after: readonly string[];
}

/** Hits in path and line order, and whether the limit cut them. */
export interface SearchOutcome {
  readonly hits: readonly SearchHit[];
  readonly truncated: boolean;
}

/** What the editor says is wrong with a file. */
export interface Problem {
  readonly severity: "error" | "warning";
  /** Counts from 1. */
  readonly line: number;
  readonly message: string;
}

/** A command to run in the workspace's root. */
export interface RunOptions {
  readonly command: string;
  /** Milliseconds after which the whole process group is ended. */
  readonly timeoutMs: number;
  /** Called with output as it arrives, in order, both streams as one. */
  readonly onOutput: (text: string) => void;
}

/** How a command ended. */
export interface RunOutcome {
  /** `null` when it was ended by a signal. */
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly timedOut: boolean;
  /** Head and tail of the output within the cap, with a line between that says what was left out. */
  readonly output: string;
  /** The file with the whole output, when it was larger than the cap. */
  readonly outputFile?: string;
}

/** A path given by the model, made absolute. */
export interface ResolvedPath {
  readonly uri: string;
  /** The entry that the path itself names, where that is another: a link, or a spelling that differs in case. */
  readonly entryUri?: string;
  /** The real path on disk, symbolic links followed as far as they exist. */
  readonly fsPath: string;
  /** Relative to the root with `/`, or the absolute path when outside. */
  readonly path: string;
  readonly inside: boolean;
  /** True when ignore files or settings hide it from the agent. */
  readonly ignored: boolean;
}

/** A file as bytes. The bytes of a symbolic link are its target. */
export interface FileBytes {
  readonly bytes: Uint8Array;
  /** Unix permission bits; with those of a link's type, 0o120000, where it is one. */
  readonly mode: number;
}

/** What a command may reach beyond what is always looked at. */
export interface ChangeScope {
  /** Files and folders, relative to the root or absolute: their bytes are kept even where git ignores them. */
  readonly paths: readonly string[];
  /** Whether what git ignores may be destroyed as well. */
  readonly ignored: boolean;
  /** Whether it may also reach files that it does not name. */
  readonly anything: boolean;
}

/** What Hermes could bring back if a command that is about to run destroyed it. */
export interface ChangeSurvey {
  /** Files that git could not give back and whose bytes are kept. */
  readonly files: number;
  /** What could not be brought back, each in words that follow "not kept: ". Empty when everything could. */
  readonly gaps: readonly string[];
  /** Those of the scope's paths that exist. */
  readonly present: readonly string[];
}

/** What was found to have changed. */
export interface FoundChanges {
  readonly changes: readonly FileChange[];
  /** Paths of changed files whose former bytes are not known. */
  readonly lost: readonly string[];
  /** Paths of changed files that were saved in the editor meanwhile: theirs is the change, so it is not among `changes`. */
  readonly saved?: readonly string[];
}

/** The state before a command. */
export interface ChangeSnapshot extends ChangeSurvey {
  /** What has changed since. Both images of every change are stored. Throws when files can no longer be listed at all. */
  changes(signal: AbortSignal): Promise<FoundChanges>;
}

/** Stores bytes until they are asked for, as `SessionStore.putBlob` does. */
export type KeepBytes = (bytes: Uint8Array) => Promise<BlobId>;

/** The files of one project. Paths are what the model writes: relative to the root, absolute, or `file:` URIs. */
export interface Workspace {
  /** Absolute path of the root folder. */
  readonly root: string;
  resolve(path: string): Promise<ResolvedPath>;
  /** The encoding that the user has for a file, which need not exist. UTF-8 for all when absent. */
  encodingOf?(uri: string): Promise<string>;
  /**
   * Reads a text file. Throws `ToolError` when it is missing (naming near matches), a folder, binary, no text in its
   * encoding, or larger than the limit.
   */
  read(uri: string, signal: AbortSignal): Promise<FileText>;
  /**
   * Replaces the text of `uri` if it is still at `version` (`null`: if it does not exist). `text: null` deletes it.
   * The write is atomic, keeps mode and encoding, and makes missing folders. Throws `ToolError` when the disk refuses or
   * the encoding lacks a character.
   */
  swap(
    uri: string,
    version: Version | null,
    text: string | null,
    signal: AbortSignal,
    options?: SwapOptions,
  ): Promise<SwapOutcome>;
  /**
   * What the editor's formatter makes of a file, where the user formats on save; `null` when nothing is to be changed or
   * it is not known in time. Nothing is written. `before` is the text before the agent's change: of unsaved text only the
   * lines that differ from it are formatted. Absent where there is no editor.
   */
  formatted?(file: FileText, before: string | null, signal: AbortSignal): Promise<string | null>;
  /**
   * The errors and warnings of exactly this text, waiting for them at most `waitMs`; `undefined` when they are not known
   * yet. Absent where there is no editor.
   */
  problems?(file: FileText, waitMs: number, signal: AbortSignal): Promise<readonly Problem[] | undefined>;
  /**
   * The form in which the file would hold a new text, for files that hold something else than the text that is shown of
   * them (notebooks). Throws `ToolError` for a text that they could not hold. Absent where every text is held as it is.
   */
  normalText?(uri: string, text: string, signal: AbortSignal): Promise<string>;
  /**
   * Gives an existing file its Unix permission bits back. Throws `ToolError` when the disk refuses. Absent where files
   * have no such bits.
   */
  setMode?(uri: string, mode: number, signal: AbortSignal): Promise<void>;
  /**
   * The bytes on disk; `null` where there is no file. Links are not followed. Throws `ToolError` for what is neither a
   * regular file nor a link, is larger than 64 MB, or may not be read.
   */
  readBytes?(uri: string, signal: AbortSignal): Promise<FileBytes | null>;
  /**
   * Replaces a file on disk if it still has the bytes of `expected` (`null`: if there is none); `replacement: null`
   * deletes it. `false` when it has moved on. Atomic; without a `mode` the mode stays, with that of a link a link is made.
   * Read-only files are replaced too.
   * Throws `ToolError` when the disk refuses or an editor holds unsaved changes to it.
   */
  swapBytes?(
    uri: string,
    expected: BlobId | null,
    replacement: { readonly bytes: Uint8Array; readonly mode?: number } | null,
    signal: AbortSignal,
  ): Promise<boolean>;
  /** Finds what is at a path and below; `undefined` where there is nothing. Stops at `limit` entries and says so. */
  findTree?(path: string, limit: number, signal: AbortSignal): Promise<FoundTree | undefined>;
  /**
   * Moves one file or link, with its unsaved text where an editor holds some. Never overwrites; makes missing folders.
   * A name that differs only in case is no other file where the disk does not tell them apart. Throws `ToolError` when
   * the disk or the editor refuses.
   */
  moveFile?(from: string, to: string, signal: AbortSignal): Promise<MoveOutcome>;
  /** Removes a folder if it is empty; `false` when it is not, or not there. */
  removeFolder?(uri: string, signal: AbortSignal): Promise<boolean>;
  /** How many of the folders that a path is in do not exist, innermost first. */
  countMissingFolders?(path: string, signal: AbortSignal): Promise<number>;
  /** Looks at what a command could destroy, without storing anything. Absent where files cannot be listed. */
  surveyChanges?(scope: ChangeScope, signal: AbortSignal): Promise<ChangeSurvey>;
  /** Stores what a command could destroy. Rejects as `keep` does: then the command must not run. */
  snapshotChanges?(scope: ChangeScope, keep: KeepBytes, signal: AbortSignal): Promise<ChangeSnapshot>;
  /** Lists a folder, ignored entries left out. Stops at `limit` and says so. */
  list(
    path: string,
    options: { readonly depth: number; readonly limit: number },
    signal: AbortSignal,
  ): Promise<{ readonly entries: readonly ListEntry[]; readonly truncated: boolean }>;
  search(query: SearchQuery, signal: AbortSignal): Promise<SearchOutcome>;
  /** Runs a shell command in its own process group; aborting `signal` ends the whole tree. */
  run(options: RunOptions, signal: AbortSignal): Promise<RunOutcome>;
}

/** Searching a text that is in memory by the same rules as files, for text that the disk does not have yet. */
export interface TextSearch {
  /** Hits are given for `path`; the query's `path` and `glob` do not matter. */
  searchText(
    document: { readonly path: string; readonly text: string },
    query: SearchQuery,
    signal: AbortSignal,
  ): Promise<SearchOutcome>;
}
