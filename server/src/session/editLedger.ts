/**
 * Whose every line is: the fold from a session's events to what is pending in each file that the agent changed.
 *
 * Not here: reading files and acting on hunks (`review.ts`), what a hunk is (`text/pending.ts`). Easily got wrong: what
 * the user types is never stored. A file's state is as of its last event, and what is pending now follows from that
 * state and the present text each time, so a host that has just started sees the same hunks as one that saw the typing.
 */
import { createHash } from "node:crypto";
import { Serial } from "../base/async.ts";
import { RequestError } from "../base/errors.ts";
import { log } from "../base/trace.ts";
import type {
  BlobId,
  PendingFile,
  PendingHunk,
  RestoreId,
  RestoreTarget,
  SessionEvent,
  TurnId,
  UndoneFile,
} from "../protocol/types.ts";
import type { SessionStore } from "../storage/store.ts";
import {
  agentChanged,
  type HunkLines,
  hunksOf,
  isSettled,
  keepHunks,
  linesOfHunks,
  type PendingText,
  pendingBetween,
  settled,
  undoHunks,
  userChanged,
  withoutAuthors,
} from "../text/pending.ts";

/** Characters of folded texts kept in memory per session; what is beyond is folded again when it is asked for. */
const maxCharacters = 64_000_000;
/** Bytes of the largest file whose hunks are told apart: what the workspace reads as text. */
const maxTextBytes = 10 * 1024 * 1024;
/** Lines from before that one hunk carries; its file's counts are of all of them. */
const maxBeforeLines = 2_000;
/** A NUL within this many bytes from the start makes a file binary. */
const sniffedBytes = 8_192;

/** The text that a file has now; `not text` with the digest of its bytes, where they could be read. */
export type Present =
  | { readonly kind: "text"; readonly text: string | null }
  | { readonly kind: "not text"; readonly digest: BlobId | undefined };

/** What is pending in one file now. */
export type FileView =
  | {
      readonly kind: "text";
      readonly pending: PendingText<TurnId>;
      readonly lines: readonly HunkLines[];
      readonly ids: readonly string[];
      readonly modes: ReviewedModes;
    }
  | {
      /** Not text, or too large: known by its bytes alone. */
      readonly kind: "bytes";
      readonly shadow: BlobId | null;
      readonly text: BlobId | null;
      readonly by: readonly TurnId[];
      readonly ids: readonly string[];
      readonly modes: ReviewedModes;
    };

/** Permission bits, as far as they are known. */
export interface ReviewedModes {
  /** Before the first pending change. */
  readonly before: number | undefined;
  /** As the agent last set them. */
  readonly after: number | undefined;
}

type FileChanged = Extract<SessionEvent, { readonly type: "file_changed" }>;
type HunksReviewed = Extract<SessionEvent, { readonly type: "hunks_reviewed" }>;

type FileState =
  | { readonly kind: "text"; readonly pending: PendingText<TurnId> }
  | {
      readonly kind: "bytes";
      readonly shadow: BlobId | null;
      readonly text: BlobId | null;
      readonly by: readonly TurnId[];
    };

interface Entry {
  readonly uri: string;
  readonly serial: Serial;
  steps: (FileChanged | HunksReviewed)[];
  /** The state after the first `folded` steps; `undefined` before the first, and when it was dropped from memory. */
  state: FileState | undefined;
  folded: number;
  /** Turns that were undone in this file. */
  readonly undone: Set<TurnId>;
}

/** The ledger of one session. Feed it every event, in order. */
export class EditLedger {
  readonly #store: Pick<SessionStore, "getBlob">;
  /** In the order in which the files were first changed. */
  readonly #entries = new Map<string, Entry>();
  readonly #restores = new Map<
    RestoreId,
    { readonly target: RestoreTarget; readonly turnIds: readonly TurnId[]; restored: readonly string[] }
  >();
  /** Shadows that were told of and that the store need not have, most recent last. */
  readonly #shadows = new Map<BlobId, string>();

  constructor(store: Pick<SessionStore, "getBlob">) {
    this.#store = store;
  }

  /** Takes note of an event. Returns the files that it is about. */
  take(event: SessionEvent): readonly string[] {
    switch (event.type) {
      case "file_changed":
        this.#entryOf(event.change.uri).steps.push(event);
        return [event.change.uri];
      case "file_change_failed": {
        const entry = this.#entryOf(event.uri);
        const at = entry.steps.findLastIndex((step) => step.type === "file_changed" && step.callId === event.callId);
        if (at !== -1) replaceSteps(entry, entry.steps.toSpliced(at, 1));
        return [event.uri];
      }
      case "hunks_reviewed":
        this.#entryOf(event.uri).steps.push(event);
        return [event.uri];
      case "restore_started":
        this.#restores.set(event.restoreId, { target: event.target, turnIds: event.fileTurns, restored: [] });
        return [];
      case "restore_finished":
        return this.#takeRestore(event.restoreId, event.files);
      default:
        return [];
    }
  }

  /** The files that the agent has changed, in the order in which it first did. */
  get uris(): readonly string[] {
    return [...this.#entries.keys()];
  }

  /** True for a file that the agent has changed. */
  has(uri: string): boolean {
    return this.#entries.has(uri);
  }

  /** What is pending in a file that now has the given text. `undefined` when nothing is. */
  async view(uri: string, present: Present): Promise<FileView | undefined> {
    const entry = this.#entries.get(uri);
    if (!entry) return undefined;
    const state = await entry.serial.run(() => this.#fold(entry));
    this.#trim(entry);
    if (!state) return undefined;
    const modes = modesOf(entry.steps);
    if (state.kind === "bytes") return viewOfBytes(state, present, modes);
    if (isSettled(state.pending) || present.kind === "not text") return undefined;
    const pending = withoutAuthors(userChanged(state.pending, present.text), entry.undone);
    if (isSettled(pending)) return undefined;
    const lines = linesOfHunks(pending);
    return { kind: "text", pending, lines, ids: idsOf(lines), modes };
  }

  /** True when nothing would be pending in the file whatever its text is. Says `false` when it is not known yet. */
  isSettled(uri: string): boolean {
    const entry = this.#entries.get(uri);
    if (!entry) return true;
    const { state } = entry;
    if (startOf(entry.steps) === entry.steps.length) return true;
    return entry.folded === entry.steps.length && state?.kind === "text" && isSettled(state.pending);
  }

  /** What a client is told of a file, and remembers the shadow's text for `shadow`. */
  describe(uri: string, view: FileView): PendingFile {
    if (view.kind === "bytes") {
      const hunk = { id: view.ids[0] ?? "", fromLine: 1, lineCount: 0, before: [], turnIds: view.by };
      const status = statusOf(view.shadow, view.text);
      return { uri, status, hunks: [hunk], addedLines: 0, removedLines: 0, shadow: view.shadow };
    }
    const { pending, lines, ids } = view;
    const hunks = hunksOf(pending);
    return {
      uri,
      status: statusOf(pending.shadow, pending.text),
      hunks: hunks.map(
        (hunk, at): PendingHunk => ({
          id: ids[at] ?? "",
          fromLine: hunk.newStart + 1,
          lineCount: hunk.newCount,
          before: (lines[at]?.before ?? []).slice(0, maxBeforeLines),
          turnIds: hunk.by,
        }),
      ),
      addedLines: hunks.reduce((sum, { newCount }) => sum + newCount, 0),
      removedLines: hunks.reduce((sum, { oldCount }) => sum + oldCount, 0),
      shadow: pending.shadow === null ? null : this.#rememberShadow(pending.shadow),
    };
  }

  /** What a client is told of a file when there are too many to tell their hunks apart. Reads nothing. */
  describeCoarsely(uri: string): PendingFile {
    const steps = this.#entries.get(uri)?.steps ?? [];
    const changes = steps.flatMap((step) => (step.type === "file_changed" ? [step] : []));
    const shadow = changes[0]?.change.before ?? null;
    const turnIds = [...new Set(changes.map(({ turnId }) => turnId))];
    return {
      uri,
      status: statusOf(shadow, changes.at(-1)?.change.after ?? null),
      hunks: [{ id: wholeFileId(uri), fromLine: 1, lineCount: 0, before: [], turnIds }],
      addedLines: changes.reduce((sum, { change }) => sum + change.addedLines, 0),
      removedLines: changes.reduce((sum, { change }) => sum + change.removedLines, 0),
      shadow,
    };
  }

  /** The text of a shadow that was described lately. */
  shadow(id: BlobId): string | undefined {
    return this.#shadows.get(id);
  }

  /** The contents without which what is pending could not be told, or undone. */
  neededBlobs(): readonly BlobId[] {
    const pending = [...this.#entries.values()].filter(({ uri }) => !this.isSettled(uri));
    const steps = pending.flatMap((entry) => entry.steps.slice(startOf(entry.steps)));
    const images = steps.flatMap((step) =>
      step.type === "file_changed" ? [step.change.before, step.change.after] : [step.before, step.shadow, step.text],
    );
    return images.filter((id) => id !== null);
  }

  #takeRestore(restoreId: RestoreId, files: readonly UndoneFile[]): readonly string[] {
    const restore = this.#restores.get(restoreId);
    if (!restore) return [];
    const uris = files.filter(({ outcome }) => outcome !== "conflict").map(({ uri }) => uri);
    const { target, turnIds } = restore;
    if (target.type !== "restore") {
      restore.restored = uris;
      for (const uri of uris) for (const turnId of turnIds) this.#entries.get(uri)?.undone.add(turnId);
      return uris;
    }
    for (const uri of this.#restores.get(target.restoreId)?.restored ?? []) {
      const entry = this.#entries.get(uri);
      if (!entry || !uris.includes(uri)) continue;
      for (const turnId of turnIds) entry.undone.delete(turnId);
      // What was folded since left those turns out.
      replaceSteps(entry, [...entry.steps]);
    }
    return uris;
  }

  #entryOf(uri: string): Entry {
    const known = this.#entries.get(uri);
    if (known) return known;
    const entry: Entry = { uri, serial: new Serial(), steps: [], state: undefined, folded: 0, undone: new Set() };
    this.#entries.set(uri, entry);
    return entry;
  }

  async #fold(entry: Entry): Promise<FileState | undefined> {
    if (entry.state === undefined) entry.folded = startOf(entry.steps);
    while (entry.folded < entry.steps.length) {
      const { steps, folded } = entry;
      const step = steps[folded];
      if (!step) break;
      const state = await this.#after(entry.state, step, entry.undone);
      // A step that turned out not to have happened was taken out meanwhile: from the start, then.
      if (entry.steps !== steps) {
        if (entry.state === undefined) entry.folded = startOf(entry.steps);
        continue;
      }
      entry.state = state;
      entry.folded = folded + 1;
    }
    return entry.state;
  }

  async #after(
    state: FileState | undefined,
    step: FileChanged | HunksReviewed,
    undone: ReadonlySet<TurnId>,
  ): Promise<FileState> {
    return step.type === "file_changed"
      ? this.#afterChange(state, step, undone)
      : this.#afterReview(state, step, undone);
  }

  async #afterChange(
    state: FileState | undefined,
    { change, turnId }: FileChanged,
    undone: ReadonlySet<TurnId>,
  ): Promise<FileState> {
    const known = state?.kind === "bytes" && state.shadow === state.text ? undefined : state;
    const [before, after] = await Promise.all([this.#load(change.before, known), this.#load(change.after)]);
    if (known?.kind === "bytes" || before === undefined || after === undefined) {
      const whole = known ? wholeOf(known) : { shadow: change.before, by: [] };
      return { kind: "bytes", shadow: whole.shadow, text: change.after, by: [...new Set([...whole.by, turnId])] };
    }
    const pending = userChanged(known?.pending ?? settled<TurnId>(before.text), before.text);
    return {
      kind: "text",
      pending: agentChanged(withoutAuthors(pending, undone), before.text, after.text, turnId),
    };
  }

  async #afterReview(
    state: FileState | undefined,
    review: HunksReviewed,
    undone: ReadonlySet<TurnId>,
  ): Promise<FileState> {
    const [before, text, shadow] = await Promise.all([
      this.#load(review.before, state),
      this.#load(review.text),
      this.#load(review.shadow),
    ]);
    const by = state ? wholeOf(state).by : [];
    if (before === undefined || text === undefined || shadow === undefined) {
      return { kind: "bytes", shadow: review.shadow, text: review.text, by };
    }
    const known = state?.kind === "text" ? state.pending : settled<TurnId>(before.text);
    const pending = withoutAuthors(userChanged(known, before.text), undone);
    const ids = idsOf(linesOfHunks(pending));
    const chosen = new Set(review.hunkIds.map((id) => ids.indexOf(id)));
    const reviewed = review.action === "keep" ? keepHunks(pending, chosen) : undoHunks(pending, chosen);
    const isAsStored = reviewed.shadow === shadow.text && reviewed.text === text.text;
    return { kind: "text", pending: isAsStored ? reviewed : pendingBetween(shadow.text, text.text, by) };
  }

  /** `undefined` when it is not text, or lost. */
  async #load(id: BlobId | null, known?: FileState): Promise<{ readonly text: string | null } | undefined> {
    if (id === null) return { text: null };
    const { text } = known?.kind === "text" ? known.pending : { text: null };
    if (text !== null && blobIdOf(text) === id) return { text };
    try {
      const text = textOf(await this.#store.getBlob(id));
      return text === undefined ? undefined : { text };
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      log("warn", `A text that was changed cannot be read any more, so its hunks are not told apart: ${error.message}`);
      return undefined;
    }
  }

  #rememberShadow(text: string): BlobId {
    const id = blobIdOf(text);
    this.#shadows.delete(id);
    this.#shadows.set(id, text);
    let characters = 0;
    for (const shadow of this.#shadows.values()) characters += shadow.length;
    for (const [old, shadow] of this.#shadows) {
      if (characters <= maxCharacters || old === id) break;
      this.#shadows.delete(old);
      characters -= shadow.length;
    }
    return id;
  }

  /** Drops folded texts of other files while there are too many; they are folded again from the events when needed. */
  #trim(used: Entry): void {
    let characters = 0;
    for (const { state } of this.#entries.values()) characters += charactersOf(state);
    for (const entry of this.#entries.values()) {
      if (characters <= maxCharacters) return;
      if (entry === used || entry.folded < entry.steps.length) continue;
      characters -= charactersOf(entry.state);
      entry.state = undefined;
    }
  }
}

/** The id by which all hunks of a file are meant. */
export function wholeFileId(uri: string): string {
  return `file:${createHash("sha256").update(uri).digest("hex").slice(0, 16)}`;
}

/** The id that the store gives these characters. */
export function blobIdOf(text: string): BlobId {
  return createHash("sha256").update(text).digest("hex") as BlobId;
}

/** Digests of each hunk's own lines, and of its place among equal ones: other hunks may change, and an id stays. */
function idsOf(lines: readonly HunkLines[]): readonly string[] {
  const seen = new Map<string, number>();
  return lines.map(({ before, after }) => {
    const digest = createHash("sha256")
      .update(`${before.length}\n${before.join("\n")}\n${after.join("\n")}`)
      .digest("hex");
    const ordinal = seen.get(digest) ?? 0;
    seen.set(digest, ordinal + 1);
    return `${digest.slice(0, 16)}-${ordinal}`;
  });
}

/** Where a fold may begin: after the last review that left nothing pending. */
function startOf(steps: readonly (FileChanged | HunksReviewed)[]): number {
  return steps.findLastIndex((step) => step.type === "hunks_reviewed" && step.shadow === step.text) + 1;
}

function replaceSteps(entry: Entry, steps: (FileChanged | HunksReviewed)[]): void {
  entry.steps = steps;
  entry.state = undefined;
  entry.folded = startOf(steps);
}

function wholeOf(state: FileState): { readonly shadow: BlobId | null; readonly by: readonly TurnId[] } {
  if (state.kind === "bytes") return state;
  const { shadow, by } = state.pending;
  return { shadow: shadow === null ? null : blobIdOf(shadow), by };
}

function viewOfBytes(
  { shadow, text, by }: Extract<FileState, { readonly kind: "bytes" }>,
  present: Present,
  modes: ReviewedModes,
): FileView | undefined {
  const now = present.kind === "not text" ? present.digest : present.text === null ? null : blobIdOf(present.text);
  // Bytes have no lines to tell apart: once somebody else has changed them, they are theirs.
  if (shadow === text || now !== text) return undefined;
  const id = createHash("sha256").update(`${shadow}\n${text}`).digest("hex").slice(0, 16);
  return { kind: "bytes", shadow, text, by, ids: [id], modes };
}

function modesOf(steps: readonly (FileChanged | HunksReviewed)[]): ReviewedModes {
  const changes = steps.slice(startOf(steps)).flatMap((step) => (step.type === "file_changed" ? [step.change] : []));
  return { before: changes[0]?.mode, after: changes.findLast(({ modeAfter }) => modeAfter !== undefined)?.modeAfter };
}

function statusOf(shadow: string | null, text: string | null): PendingFile["status"] {
  return shadow === null ? "added" : text === null ? "deleted" : "modified";
}

function charactersOf(state: FileState | undefined): number {
  return state?.kind === "text" ? (state.pending.shadow?.length ?? 0) + (state.pending.text?.length ?? 0) : 0;
}

function textOf(bytes: Uint8Array): string | undefined {
  if (bytes.length > maxTextBytes || bytes.subarray(0, sniffedBytes).includes(0)) return undefined;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
