/**
 * Whose every line is: the fold from a session's events to what is pending in each file that the agent changed.
 *
 * Not here: reading files and acting on hunks (`review.ts`), what a hunk is (`text/pending.ts`). Easily got wrong: what
 * the user types is never stored. A file's state is as of its last event, and what is pending now follows from that
 * state and the present text each time, so a host that has just started sees the same hunks as one that saw the typing.
 */
import { Serial } from "../base/async.ts";
import { RequestError } from "../base/errors.ts";
import { log } from "../base/trace.ts";
import type { SessionEvent } from "../protocol/events.ts";
import type { PendingFile, RestoreTarget, UndoneFile } from "../protocol/review.ts";
import type { BlobId, RestoreId, TurnId } from "../protocol/types.ts";
import type { SessionStore } from "../storage/store.ts";
import { decodeText } from "../text/encoding.ts";
import { isNotebookPath } from "../text/notebook.ts";
import { shownText } from "../text/notebookJson.ts";
import {
  agentChanged,
  isSettled,
  keepHunks,
  linesOfHunks,
  pendingBetween,
  settled,
  undoHunks,
  userChanged,
  withoutAuthors,
} from "../text/pending.ts";
import { isLinkMode } from "../workspace/fileBytes.ts";
import { maxTextBytes } from "../workspace/textFile.ts";
import {
  blobIdOf,
  describeView,
  type FileState,
  type FileView,
  idsOf,
  type Move,
  moveOf,
  type Present,
  type ReviewedModes,
  statusOf,
  viewOfBytes,
  viewOfOther,
  viewOfText,
  wholeFileId,
  wholeHunk,
  wholeOf,
} from "./fileView.ts";
import { foldersMadeBy } from "./madeFolders.ts";

/** Characters of folded texts kept in memory per session; what is beyond is folded again when it is asked for. */
const maxCharacters = 64_000_000;
/** A NUL within this many bytes from the start makes a file binary. */
const sniffedBytes = 8_192;

type FileChanged = Extract<SessionEvent, { readonly type: "file_changed" }>;
type FileChangeFailed = Extract<SessionEvent, { readonly type: "file_change_failed" }>;
type HunksReviewed = Extract<SessionEvent, { readonly type: "hunks_reviewed" }>;

interface Entry {
  /** Where the file is now. */
  uri: string;
  /** The moves that wait for the user's word, oldest first. */
  moves: readonly Move[];
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
    {
      readonly target: RestoreTarget;
      readonly turnIds: readonly TurnId[];
      /** The moves that it took back, by file. */
      readonly restored: Map<Entry, readonly Move[]>;
    }
  >();
  /** Shadows that were told of and that the store need not have, most recent last. */
  readonly #shadows = new Map<BlobId, string>();
  readonly #madeFolders = new Set<string>();

  constructor(store: Pick<SessionStore, "getBlob">) {
    this.#store = store;
  }

  /** Takes note of an event. Returns the files that it is about. */
  take(event: SessionEvent): readonly string[] {
    switch (event.type) {
      case "file_changed":
        return this.#takeChange(event);
      case "file_change_failed":
        return this.#takeFailure(event);
      case "hunks_reviewed": {
        const entry = this.#entryOf(event.uri);
        entry.steps.push(event);
        const home = event.move === "undone" ? entry.moves[0]?.from : undefined;
        if (event.move !== undefined) entry.moves = [];
        if (home !== undefined) this.#rename(entry, home);
        return [event.uri, entry.uri];
      }
      case "restore_started":
        this.#restores.set(event.restoreId, { target: event.target, turnIds: event.fileTurns, restored: new Map() });
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
    const move = moveOf(entry.uri, entry.moves);
    if (state.kind === "bytes") return viewOfBytes(state, present, modes, move);
    // What was text and is none any more is the user's, but it is still where the agent has put it.
    if (present.kind === "not text") return move && viewOfOther(present.digest, move, modes);
    if (isSettled(state.pending) && !move) return undefined;
    const pending = withoutAuthors(userChanged(state.pending, present.text), entry.undone);
    return viewOfText(pending, modes, move);
  }

  /** Where the file was before its pending moves; where it is when there are none. */
  homeOf(uri: string): string {
    return this.#entries.get(uri)?.moves[0]?.from ?? uri;
  }

  /** True when the agent last left a symbolic link there: it is then known by its bytes. */
  isLink(uri: string): boolean {
    return isLinkEntry(this.#entries.get(uri));
  }

  /** True for a folder that the agent made for a file. */
  hasMade(folder: string): boolean {
    return this.#madeFolders.has(folder);
  }

  /** True when nothing would be pending in the file whatever its text is. Says `false` when it is not known yet. */
  isSettled(uri: string): boolean {
    const entry = this.#entries.get(uri);
    if (!entry) return true;
    const { state } = entry;
    if (moveOf(entry.uri, entry.moves)) return false;
    if (startOf(entry.steps) === entry.steps.length) return true;
    return entry.folded === entry.steps.length && state?.kind === "text" && isSettled(state.pending);
  }

  /** What a client is told of a file, and remembers the shadow's text for `shadow`. */
  describe(uri: string, view: FileView): PendingFile {
    if (view.kind === "text" && view.pending.shadow !== null) this.#rememberShadow(view.pending.shadow);
    return describeView(uri, view);
  }

  /** What a client is told of a file when there are too many to tell their hunks apart. Reads nothing. */
  describeCoarsely(uri: string): PendingFile {
    const entry = this.#entries.get(uri);
    const steps = entry?.steps ?? [];
    const move = entry && moveOf(entry.uri, entry.moves);
    const changes = steps.flatMap((step) => (step.type === "file_changed" ? [step] : []));
    const shadow = changes[0]?.change.before ?? null;
    const turnIds = [...new Set(changes.map(({ turnId }) => turnId))];
    return {
      uri,
      status: statusOf(shadow, changes.at(-1)?.change.after ?? null),
      ...(move ? { movedFrom: move.from } : {}),
      hunks: [wholeHunk(wholeFileId(uri), turnIds)],
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
    const { target, turnIds, restored } = restore;
    const former = target.type === "restore" ? this.#restores.get(target.restoreId)?.restored : undefined;
    // A file that was moved back may still hold lines that could not be restored.
    const changed = files.filter((file) => file.outcome !== "conflict" || file.movedFrom !== undefined);
    for (const { uri, outcome, movedFrom } of changed) {
      const entry = this.#entries.get(movedFrom ?? uri);
      if (!entry) continue;
      if (target.type !== "restore") {
        if (outcome !== "conflict") for (const turnId of turnIds) entry.undone.add(turnId);
        restored.set(entry, entry.moves);
        entry.moves = entry.moves.filter(({ turnId }) => !turnIds.includes(turnId));
      } else if (former?.has(entry)) {
        for (const turnId of turnIds) entry.undone.delete(turnId);
        entry.moves = former.get(entry) ?? [];
        // What was folded since left those turns out.
        replaceSteps(entry, [...entry.steps]);
      }
      if (movedFrom !== undefined) this.#rename(entry, uri);
    }
    return changed.flatMap(({ uri, movedFrom = uri }) => [movedFrom, uri]);
  }

  #entryOf(uri: string): Entry {
    const known = this.#entries.get(uri);
    if (known) return known;
    const entry: Entry = {
      uri,
      moves: [],
      serial: new Serial(),
      steps: [],
      state: undefined,
      folded: 0,
      undone: new Set(),
    };
    this.#entries.set(uri, entry);
    return entry;
  }

  #takeChange(event: FileChanged): readonly string[] {
    const { uri, movedFrom } = event.change;
    for (const folder of foldersMadeBy(event.change)) this.#madeFolders.add(folder);
    const entry = this.#entryOf(movedFrom ?? uri);
    entry.steps.push(event);
    if (movedFrom === undefined) return [uri];
    entry.moves = [...entry.moves, { from: movedFrom, turnId: event.turnId }];
    this.#rename(entry, uri);
    return [movedFrom, uri];
  }

  #takeFailure({ uri, callId }: FileChangeFailed): readonly string[] {
    const entry = this.#entryOf(uri);
    const at = entry.steps.findLastIndex((step) => step.type === "file_changed" && step.callId === callId);
    const step = entry.steps[at];
    if (step?.type !== "file_changed") return [uri];
    replaceSteps(entry, entry.steps.toSpliced(at, 1));
    const { movedFrom } = step.change;
    if (movedFrom === undefined) return [uri];
    entry.moves = entry.moves.slice(0, -1);
    this.#rename(entry, movedFrom);
    return [uri, movedFrom];
  }

  /** What was known of a file that was at the new place is of no use: it is gone, or nothing could have moved there. */
  #rename(entry: Entry, uri: string): void {
    if (this.#entries.get(entry.uri) === entry) this.#entries.delete(entry.uri);
    entry.uri = uri;
    this.#entries.set(uri, entry);
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
    if (isLinkMode(change.mode) || isLinkMode(change.modeAfter)) return this.#afterLink(known, { change, turnId });
    const { uri, encoding } = change;
    const [before, after] = await Promise.all([
      this.#load(uri, change.before, { known, encoding }),
      this.#load(uri, change.after, { encoding }),
    ]);
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

  /** A link's target has no lines of its own. */
  #afterLink(known: FileState | undefined, { change, turnId }: Pick<FileChanged, "change" | "turnId">): FileState {
    const { shadow, by } = known ? wholeOf(known) : { shadow: change.before, by: [] };
    return { kind: "bytes", shadow, text: change.after, by: [...new Set([...by, turnId])] };
  }

  async #afterReview(
    state: FileState | undefined,
    review: HunksReviewed,
    undone: ReadonlySet<TurnId>,
  ): Promise<FileState> {
    const [before, text, shadow] = await Promise.all([
      this.#load(review.uri, review.before, { known: state }),
      this.#load(review.uri, review.text),
      this.#load(review.uri, review.shadow),
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
  async #load(
    uri: string,
    id: BlobId | null,
    { known, encoding }: { readonly known?: FileState | undefined; readonly encoding?: string | undefined } = {},
  ): Promise<{ readonly text: string | null } | undefined> {
    if (id === null) return { text: null };
    const { text } = known?.kind === "text" ? known.pending : { text: null };
    if (text !== null && blobIdOf(text) === id) return { text };
    try {
      const text = await textOf(await this.#store.getBlob(id), encoding);
      if (text === undefined) return undefined;
      // What a command did to a notebook is known by the file's bytes.
      return { text: isNotebookPath(uri) ? shownText(text) : text };
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      log("warn", `A text that was changed cannot be read any more, so its hunks are not told apart: ${error.message}`);
      return undefined;
    }
  }

  #rememberShadow(text: string): void {
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

/** Where a fold may begin: after the last review that left nothing pending. */
function startOf(steps: readonly (FileChanged | HunksReviewed)[]): number {
  return steps.findLastIndex((step) => step.type === "hunks_reviewed" && step.shadow === step.text) + 1;
}

function replaceSteps(entry: Entry, steps: (FileChanged | HunksReviewed)[]): void {
  entry.steps = steps;
  entry.state = undefined;
  entry.folded = startOf(steps);
}

function isLinkEntry(entry: Entry | undefined): boolean {
  const last = entry?.steps.findLast((step) => step.type === "file_changed");
  return last?.type === "file_changed" && isLinkMode(last.change.modeAfter ?? last.change.mode);
}

function modesOf(steps: readonly (FileChanged | HunksReviewed)[]): ReviewedModes {
  const changes = steps.slice(startOf(steps)).flatMap((step) => (step.type === "file_changed" ? [step.change] : []));
  const encoding = changes.find((change) => change.encoding !== undefined)?.encoding;
  return {
    encoding,
    before: changes[0]?.mode,
    after: changes.findLast(({ modeAfter }) => modeAfter !== undefined)?.modeAfter,
  };
}

function charactersOf(state: FileState | undefined): number {
  return state?.kind === "text" ? (state.pending.shadow?.length ?? 0) + (state.pending.text?.length ?? 0) : 0;
}

async function textOf(bytes: Uint8Array, encoding: string | undefined): Promise<string | undefined> {
  if (bytes.length > maxTextBytes) return undefined;
  if (encoding === undefined && bytes.subarray(0, sniffedBytes).includes(0)) return undefined;
  return decodeText(bytes, encoding);
}
