/**
 * The user's side of the edit ledger: tells what is pending as files change, and keeps or undoes it on request.
 *
 * Not here: attribution (`editLedger.ts`, `text/pending.ts`) or undo of whole turns (`checkpoint.ts`). Easily got wrong: a
 * file is read, changed and recorded in its place in `fileOrder`, where the agent's changes wait too, so that a review
 * never falls between a change that is announced and the same change made.
 */
import { type Clock, Serial } from "../base/async.ts";
import { messageOf, RequestError, ToolError } from "../base/errors.ts";
import { log } from "../base/trace.ts";
import type { SessionEvent, SessionEventBody } from "../protocol/events.ts";
import type { ReviewParams } from "../protocol/methods.ts";
import type { PendingFile, UndoneFile } from "../protocol/review.ts";
import type { BlobId, CallId, TurnId } from "../protocol/types.ts";
import type { SessionStore } from "../storage/store.ts";
import { hunksOf, isSettled, keepHunks, type PendingText, undoHunks } from "../text/pending.ts";
import { type Queues, runInAll } from "../workspace/queues.ts";
import type { FileText, Workspace } from "../workspace/workspace.ts";
import { EditLedger } from "./editLedger.ts";
import { type FileView, type Present, wholeFileId } from "./fileView.ts";
import { foldersAbove } from "./madeFolders.ts";
import { readPresent } from "./present.ts";

/** What a review needs. */
export interface ReviewDeps {
  readonly store: Pick<SessionStore, "getBlob" | "putBlob">;
  readonly workspace: Workspace;
  /** By URI: whoever changes a file for the session waits here for those before. */
  readonly fileOrder: Queues;
  readonly append: (body: SessionEventBody) => Promise<void>;
  /** Told what is pending whenever that changes. Absent where nobody looks. */
  readonly onChange?: (files: readonly PendingFile[]) => void;
  readonly clock: Pick<Clock, "sleep">;
}

/** Milliseconds in which changes of files are gathered before they are looked at. */
const gatherMs = 50;
/** Files whose hunks are told apart; of those beyond, it is only said that they have changed. */
const maxFiles = 500;
/** How often a file that keeps changing under an undo is looked at again. */
const maxTries = 5;

/** The review of one session. Feed it every event, in order; `close` it when the session leaves memory. */
export class Review {
  readonly #deps: ReviewDeps;
  readonly #ledger: EditLedger;
  readonly #telling = new Serial();
  readonly #dirty = new Set<string>();
  readonly #described = new Map<string, PendingFile>();
  /** The files that each running call has changed. */
  readonly #calls = new Map<CallId, Set<string>>();
  readonly #closing = new AbortController();
  #waits = false;
  #told = "[]";

  constructor(deps: ReviewDeps, events: readonly SessionEvent[]) {
    this.#deps = deps;
    this.#ledger = new EditLedger(deps.store);
    for (const event of events) this.#ledger.take(event);
  }

  /** True when the agent has changed any file in this session. */
  get hasFiles(): boolean {
    return this.#ledger.uris.length > 0;
  }

  /** Takes note of an event that has been stored. */
  take(event: SessionEvent): void {
    const uris = this.#ledger.take(event);
    if (event.type === "file_changed") {
      const changed = this.#calls.get(event.callId) ?? new Set();
      this.#calls.set(event.callId, changed.add(event.change.uri));
    } else if (event.type === "tool_result") {
      for (const uri of this.#calls.get(event.callId) ?? []) this.fileChanged(uri);
      this.#calls.delete(event.callId);
    }
    for (const uri of uris) this.fileChanged(uri);
  }

  /** Looks at a file again, given by its resolved URI, if it is one that the agent has changed. */
  fileChanged(uri: string): void {
    if (!this.#ledger.has(uri)) return;
    this.#dirty.add(uri);
    if (this.#deps.onChange && !this.#waits) void this.#tellSoon();
  }

  /** Looks at every file again that has something pending, or had. */
  allChanged(): void {
    for (const uri of this.#ledger.uris) this.fileChanged(uri);
  }

  /** Looks at every file again and tells what is pending, even if that is what was told last. */
  refresh(): Promise<void> {
    for (const uri of this.#ledger.uris) this.#dirty.add(uri);
    this.#told = "";
    return this.#tell();
  }

  /** The stored contents without which what is pending could not be told, or undone. */
  neededBlobs(): readonly BlobId[] {
    return this.#ledger.neededBlobs();
  }

  /** The text of a shadow that was told of lately; the store has those that a review has made final. */
  shadow(id: BlobId): string | undefined {
    return this.#ledger.shadow(id);
  }

  /**
   * Keeps or undoes. Answers for each file that had something to review; one that cannot be written is a `conflict` and
   * left as it is. Throws `RequestError` `stale_hunk` when the hunk that was asked for is not there any more.
   */
  async apply(params: Omit<ReviewParams, "sessionId">, signal: AbortSignal): Promise<readonly UndoneFile[]> {
    const uris = params.uri === undefined ? this.#ledger.uris : [await this.#uriOf(params.uri)];
    const files = new Map<string, UndoneFile>();
    try {
      await this.#reviewAll(uris, { params, files }, signal);
      // One file may have been in the place of another until now.
      const again = uris.filter((uri) => files.get(uri)?.outcome === "conflict");
      if (uris.length > 1) await this.#reviewAll(again, { params, files }, signal);
    } finally {
      for (const uri of uris) if (this.#ledger.has(uri)) this.#dirty.add(uri);
      await this.#tell();
    }
    if (params.hunkId !== undefined && files.size === 0) {
      throw new RequestError(
        "stale_hunk",
        "This change is not there any more as it was shown. Nothing was changed; look at what is there now.",
      );
    }
    return [...files.values()];
  }

  async #reviewAll(
    uris: readonly string[],
    { params, files }: { readonly params: Omit<ReviewParams, "sessionId">; readonly files: Map<string, UndoneFile> },
    signal: AbortSignal,
  ): Promise<void> {
    for (const uri of uris) {
      if (this.#ledger.isSettled(uri)) continue;
      signal.throwIfAborted();
      const order = [uri, this.#ledger.homeOf(uri)];
      const file = await runInAll(this.#deps.fileOrder, order, () => this.#reviewFile(uri, params, signal));
      if (file) files.set(uri, file);
    }
  }

  /** A link is meant itself when the agent has changed it. */
  async #uriOf(uri: string): Promise<string> {
    return this.#ledger.has(uri) ? uri : (await this.#deps.workspace.resolve(uri)).uri;
  }

  /** Stops telling. */
  close(): void {
    this.#closing.abort();
  }

  /** `undefined` when nothing in the file was asked for. */
  async #reviewFile(
    uri: string,
    params: Omit<ReviewParams, "sessionId">,
    signal: AbortSignal,
  ): Promise<UndoneFile | undefined> {
    let place = uri;
    const moved = () => (place === uri ? {} : { movedFrom: uri });
    for (let tries = 0; tries < maxTries; tries++) {
      const { present, file } = await this.#read(place);
      const view = await this.#ledger.view(place, present);
      const { hunks, move } = view ? choose(view, uri, params) : nothingChosen;
      if (!view || (hunks.size === 0 && !move)) return place === uri ? undefined : restored(place, moved());
      if (params.action === "keep") {
        await this.#keep(uri, view, { hunks, move });
        return { uri, outcome: "unchanged" };
      }
      const home = this.#ledger.homeOf(place);
      // A file that is gone has only its content to come back, to where it was first.
      const isGone = home !== place && isNothing(present) && isDeletion(view);
      if (move || isGone) {
        if (!(await this.#undoMove(place, { view, home, isGone }, signal))) return { uri: place, outcome: "conflict" };
        place = home;
        continue;
      }
      const outcome = await this.#tryUndo(place, { view, file, chosen: hunks }, signal);
      if (outcome) return { uri: place, outcome, ...moved() };
    }
    return { uri: place, outcome: "conflict", ...moved() };
  }

  /** Moves the file back, with whatever it has become. `false` when its old place is taken. */
  async #undoMove(
    uri: string,
    { view, home, isGone }: { readonly view: FileView; readonly home: string; readonly isGone: boolean },
    signal: AbortSignal,
  ): Promise<boolean> {
    try {
      const { workspace } = this.#deps;
      if (isGone && !isNothing((await this.#read(home)).present)) return false;
      if (!isGone && (await workspace.moveFile?.(uri, home, signal)) !== "moved") return false;
      await this.#recordMove(uri, "undo", view);
      if (!isGone) await this.#removeMade(uri, signal);
      return true;
    } catch (error) {
      if (!(error instanceof ToolError)) throw error;
      log("warn", `${uri} was not moved back: ${messageOf(error)}`);
      return false;
    }
  }

  /** Folders that were made for a file go with it, if nothing else is in them. */
  async #removeMade(uri: string, signal: AbortSignal): Promise<void> {
    for (const folder of foldersAbove(uri)) {
      if (!this.#ledger.hasMade(folder) || !(await this.#deps.workspace.removeFolder?.(folder, signal))) return;
    }
  }

  async #keep(uri: string, view: FileView, { hunks, move }: Chosen): Promise<void> {
    if (hunks.size === 0) return this.#recordMove(uri, "keep", view);
    // Once all of the content is kept, so is the place of a file that was made or deleted.
    const isMoveToo = move || (view.move === undefined && hunks.size === view.ids.length);
    const kept = isMoveToo && this.#ledger.homeOf(uri) !== uri ? ({ move: "kept" } as const) : {};
    if (view.kind === "bytes") return this.#recordBytes(uri, "keep", view, { text: view.text, ...kept });
    await this.#record(uri, "keep", { view, chosen: hunks, next: keepHunks(view.pending, hunks), ...kept });
  }

  /** The review of a move alone: the content stays as it is. */
  async #recordMove(uri: string, action: "keep" | "undo", view: FileView): Promise<void> {
    const { before, shadow, text } =
      view.kind === "bytes"
        ? { before: view.text, shadow: view.shadow, text: view.text }
        : await this.#store(view.pending, view.pending);
    const hunkIds = view.move ? [view.move.id] : [];
    const move = action === "keep" ? "kept" : "undone";
    await this.#deps.append({ type: "hunks_reviewed", uri, action, hunks: 1, hunkIds, before, shadow, text, move });
  }

  #recordBytes(
    uri: string,
    action: "keep" | "undo",
    { text: before, ids, move: moved }: Extract<FileView, { readonly kind: "bytes" }>,
    { text, move }: { readonly text: BlobId | null; readonly move?: "kept" },
  ): Promise<void> {
    const hunkIds = [...ids, ...(move && moved ? [moved.id] : [])];
    return this.#deps.append({
      type: "hunks_reviewed",
      uri,
      action,
      hunks: hunkIds.length,
      hunkIds,
      before,
      shadow: text,
      text,
      ...(move ? { move } : {}),
    });
  }

  /** `undefined` when the file has moved on. */
  async #tryUndo(
    uri: string,
    about: { readonly view: FileView; readonly file: FileText | null; readonly chosen: ReadonlySet<number> },
    signal: AbortSignal,
  ): Promise<UndoneFile["outcome"] | undefined> {
    const { workspace } = this.#deps;
    const { view, file, chosen } = about;
    try {
      if (view.kind === "bytes") return await this.#undoBytes(uri, view, signal);
      // A file with the user's words in it is not deleted.
      if (view.pending.shadow === null && view.pending.edited) return "conflict";
      const next = undoHunks(view.pending, chosen);
      await this.#store(view.pending, next);
      const { encoding } = view.modes;
      const options = encoding === undefined || file ? undefined : { encoding };
      const swap = await workspace.swap(uri, file?.version ?? null, next.text, signal, options);
      if (!swap.applied) return undefined;
      await this.#record(uri, "undo", { view, chosen, next });
      if (next.text === null) await this.#removeMade(uri, signal);
      const { before, after } = view.modes;
      const isModeAgents = file === null || (after !== undefined && file.mode === after);
      if (isSettled(next) && next.text !== null && before !== undefined && isModeAgents) {
        await workspace.setMode?.(uri, before, signal);
      }
      return "restored";
    } catch (error) {
      if (!(error instanceof ToolError)) throw error;
      log("warn", `A change in ${uri} was not undone: ${messageOf(error)}`);
      return "conflict";
    }
  }

  async #undoBytes(
    uri: string,
    view: Extract<FileView, { readonly kind: "bytes" }>,
    signal: AbortSignal,
  ): Promise<UndoneFile["outcome"]> {
    const { store, workspace } = this.#deps;
    const { shadow, text, modes } = view;
    try {
      const mode = modes.before === undefined ? {} : { mode: modes.before };
      const replacement = shadow === null ? null : { bytes: await store.getBlob(shadow), ...mode };
      if (!(await workspace.swapBytes?.(uri, text, replacement, signal))) return "conflict";
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      log("warn", `A change in ${uri} was not undone: ${error.message}`);
      return "conflict";
    }
    await this.#recordBytes(uri, "undo", view, { text: shadow });
    if (shadow === null) await this.#removeMade(uri, signal);
    return "restored";
  }

  async #record(
    uri: string,
    action: "keep" | "undo",
    {
      view,
      chosen,
      next,
      move,
    }: {
      readonly view: Extract<FileView, { readonly kind: "text" }>;
      readonly chosen: ReadonlySet<number>;
      readonly next: PendingText<TurnId>;
      readonly move?: "kept";
    },
  ): Promise<void> {
    const { before, shadow, text } = await this.#store(view.pending, next);
    const moved = move && view.move ? [view.move.id] : [];
    const hunkIds = [...view.ids.filter((_, at) => chosen.has(at)), ...moved];
    await this.#deps.append({
      type: "hunks_reviewed",
      uri,
      action,
      hunks: hunkIds.length,
      hunkIds,
      before,
      shadow,
      text,
      ...(move ? { move } : {}),
    });
  }

  async #store(
    pending: PendingText<TurnId>,
    next: PendingText<TurnId>,
  ): Promise<{ readonly [side in "before" | "shadow" | "text"]: BlobId | null }> {
    const put = async (text: string | null) =>
      text === null ? null : this.#deps.store.putBlob(new TextEncoder().encode(text));
    const before = await put(pending.text);
    const shadow = await put(next.shadow);
    return { before, shadow, text: next.text === pending.text ? before : await put(next.text) };
  }

  #read(uri: string): ReturnType<typeof readPresent> {
    return readPresent(uri, this.#ledger.isLink(uri) ? "link" : "file", this.#deps.workspace);
  }

  async #tellSoon(): Promise<void> {
    const { signal } = this.#closing;
    this.#waits = true;
    try {
      await this.#deps.clock.sleep(gatherMs, signal).finally(() => {
        this.#waits = false;
      });
      await this.#tell();
    } catch (error) {
      if (!signal.aborted) log("error", "What is pending could not be found out", error);
    }
  }

  #tell(): Promise<void> {
    return this.#telling.run(async () => {
      const { onChange, fileOrder } = this.#deps;
      const { signal } = this.#closing;
      if (!onChange || signal.aborted) return;
      const looked = [...this.#dirty];
      this.#dirty.clear();
      for (const uri of looked) {
        signal.throwIfAborted();
        const file = await fileOrder.run(uri, () => this.#describe(uri));
        if (file) this.#described.set(uri, file);
        else this.#described.delete(uri);
      }
      const files = this.#ledger.uris.flatMap((uri) => this.#described.get(uri) ?? []);
      const telling = JSON.stringify(files);
      if (telling === this.#told || signal.aborted) return;
      this.#told = telling;
      onChange(files);
    });
  }

  async #describe(uri: string): Promise<PendingFile | undefined> {
    if (this.#ledger.isSettled(uri)) return undefined;
    if (this.#described.size >= maxFiles && !this.#described.has(uri)) return this.#ledger.describeCoarsely(uri);
    const view = await this.#ledger.view(uri, (await this.#read(uri)).present);
    return view && this.#ledger.describe(uri, view);
  }
}

/** Hunks by their places, and whether the move is meant. */
interface Chosen {
  readonly hunks: ReadonlySet<number>;
  readonly move: boolean;
}

const nothingChosen: Chosen = { hunks: new Set(), move: false };

function restored(uri: string, moved: Pick<UndoneFile, "movedFrom">): UndoneFile {
  return { uri, outcome: "restored", ...moved };
}

function isNothing(present: Present): boolean {
  return present.kind === "text" && present.text === null;
}

function isDeletion(view: FileView): boolean {
  return (view.kind === "text" ? view.pending.text : view.text) === null;
}

function choose(view: FileView, uri: string, { hunkId, turnId }: Pick<ReviewParams, "hunkId" | "turnId">): Chosen {
  const authors = view.kind === "text" ? hunksOf(view.pending).map(({ by }) => by) : [view.by];
  const isMeant = (id: string | undefined, by: readonly TurnId[] | undefined) =>
    (hunkId === undefined || hunkId === id || hunkId === wholeFileId(uri)) &&
    (turnId === undefined || (by?.includes(turnId) ?? false));
  const hunks = new Set(view.ids.flatMap((id, at) => (isMeant(id, authors[at]) ? [at] : [])));
  return { hunks, move: view.move !== undefined && isMeant(view.move.id, view.move.by) };
}
