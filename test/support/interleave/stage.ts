/**
 * Plays one interleaving in Node: the real host, tools, scheduler, ledger and disk workspace, the real port over the
 * protocol library's documents, and the client's real review, against documents as VS Code keeps them.
 *
 * Not here: VS Code itself (`test/host/interleavings.test.ts`). Easily got wrong: nothing moves between two acts but what
 * `go_on` lets through, so a list of actions is the whole story of an interleaving.
 */
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Review } from "../../../client/src/review.ts";
import type { Clock } from "../../../server/src/base/async.ts";
import { RequestError } from "../../../server/src/base/errors.ts";
import { AgentHost } from "../../../server/src/host.ts";
import { TokenCounts } from "../../../server/src/model/tokens.ts";
import type { SessionUpdate } from "../../../server/src/protocol/events.ts";
import type { ReviewParams } from "../../../server/src/protocol/methods.ts";
import type { PendingFile } from "../../../server/src/protocol/review.ts";
import type { SessionId, TurnId } from "../../../server/src/protocol/types.ts";
import { createMemoryStore } from "../../../server/src/storage/memory.ts";
import { createBuiltinTools } from "../../../server/src/tools/builtin/builtinTools.ts";
import { createRegistry } from "../../../server/src/tools/registry.ts";
import { createDiskWorkspace } from "../../../server/src/workspace/disk.ts";
import { createEditorWorkspace } from "../../../server/src/workspace/editor.ts";
import {
  type Action,
  createTokens,
  cut,
  fileCount,
  formatted,
  type Interleaving,
  originalText,
  rewritten,
  typed,
} from "./actions.ts";
import { Agent, type AgentAction, isAgentAction } from "./agent.ts";
import { type Buffers, createBuffers, readDisk } from "./buffers.ts";
import { createGates } from "./gates.ts";
import { type Cause, Oracle } from "./oracle.ts";
import { createWire, type Wire } from "./wire.ts";

/** A folder with the fifty files, for many interleavings one after another. */
export interface Folder extends Disposable {
  readonly root: string;
  readonly uriOf: (file: number) => string;
}

/** Makes the folder. */
export function createFolder(): Folder {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "hermes-interleave-")));
  const pathOf = (file: number) => join(root, `file${file}.txt`);
  for (let file = 0; file < fileCount; file++) writeFileSync(pathOf(file), originalText(file));
  return {
    root,
    uriOf: (file) => pathToFileURL(pathOf(file)).href,
    [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }),
  };
}

/** Lets things through this many times before it gives up: something waits for ever. */
const maxMoves = 20_000;
/** And looks this often whether anything comes that nothing holds. */
const maxIdle = 20;

/** Plays an interleaving from its beginning to everything undone. Rejects with a `Violation`, or whatever broke. */
export async function playInterleaving(folder: Folder, interleaving: Interleaving): Promise<void> {
  const stage = new Stage(folder, interleaving);
  try {
    await stage.play();
  } finally {
    await stage.close();
  }
}

class Stage {
  readonly #folder: Folder;
  readonly #interleaving: Interleaving;
  readonly #oracle = new Oracle();
  readonly #gates = createGates();
  readonly #newToken = createTokens();
  readonly #buffers: Buffers;
  readonly #store = createMemoryStore({ clock: { now: () => 0 } });
  readonly #touched = new Set<number>();
  readonly #agent = new Agent();
  /** Turns and reviews at work. */
  readonly #flows = new Set<Promise<unknown>>();
  readonly #conflicts: string[] = [];
  readonly #review: Review;
  readonly #turnIds: TurnId[] = [];
  #undoing = 0;
  #turnRuns = false;
  #ids = 0;
  #wire: Wire;
  #host: AgentHost;
  #sessionId = "" as SessionId;
  #pending: readonly PendingFile[] = [];
  #failure: unknown;

  constructor(folder: Folder, interleaving: Interleaving) {
    this.#folder = folder;
    this.#interleaving = interleaving;
    this.#buffers = createBuffers((news) => this.#wire.send(news));
    this.#review = new Review({
      agent: { request: ((_: unknown, params: ReviewParams) => this.#host.review(params, never)) as never },
      keyOf: (uri) => uri,
      onDidChange: () => undefined,
      warn: (message) => void this.#conflicts.push(message),
    });
    [this.#wire, this.#host] = this.#startHost();
  }

  async play(): Promise<void> {
    this.#sessionId = (await this.#host.newSession({})).sessionId;
    for (const action of this.#interleaving.actions) {
      await this.#perform(action);
      if (this.#failure) throw this.#failure;
    }
    this.#agent.add({ do: "end_turn" });
    await this.#drain();
    await this.#inspect();
    this.#conflicts.length = 0;
    this.#undo(() => this.#review.decideAll("undo"));
    await this.#drain();
    const left = this.#conflicts.flatMap((message) => message.match(/file\d+\.txt/g) ?? []);
    this.#oracle.undone(left);
    if (this.#failure) throw this.#failure;
  }

  async close(): Promise<void> {
    this.#agent.stop();
    const closed = this.#host.close();
    let isClosed = false;
    void closed.finally(() => {
      isClosed = true;
    });
    for (let moves = 0; moves < maxMoves && !isClosed; moves++) {
      await this.#gates.settle();
      this.#moves(true)[0]?.();
    }
    for (const file of this.#touched) {
      const path = new URL(this.#folder.uriOf(file));
      if (readDisk(path.href) !== originalText(file)) writeFileSync(path, originalText(file));
    }
  }

  #startHost(): [Wire, AgentHost] {
    const wire = createWire(this.#buffers, (uri) => this.#saveForHost(uri));
    const disk = createDiskWorkspace({
      root: this.#folder.root,
      outputDir: join(this.#folder.root, ".output"),
      environment: { PATH: process.env.PATH ?? "" } as never,
      createId: () => this.#newId(),
    });
    const clock: Clock = { now: () => 0, sleep: this.#gates.sleep };
    const host = new AgentHost({
      tokens: new TokenCounts(),
      store: this.#store,
      workspace: createEditorWorkspace(this.#held(disk), wire.port, clock),
      createRegistry: () => createRegistry(createBuiltinTools({ clock })),
      models: {
        list: async () => ({ models: [], selected: "" }) as never,
        resolve: async () => ({ spec: model, provider: this.#agent, costOf: () => undefined }),
        ready: async () => [],
        known: async () => [],
        select: async () => undefined,
        setCredential: () => undefined,
      },
      permissions: { rules: () => [], add: async () => undefined },
      ask: async () => "allow_once",
      onUpdate: (_, update) => this.#hear(update),
      onReview: (sessionId, files) => {
        this.#pending = files;
        this.#review.take({ sessionId, files });
      },
      trusted: () => true,
      compaction: () => ({ strategy: "none", maxSteps: 0, pruneSimilar: false }),
      maxSteps: () => 1_000,
      concurrency: () => 4,
      clock,
      createId: () => this.#newId(),
      platform: "linux",
      pid: 1,
      isAlive: () => false,
    });
    return [wire, host];
  }

  /** The disk, with a stop before and after each look and write that an edit depends on. */
  #held<Held extends object>(held: Held): Held {
    const { hold, busy } = this.#gates;
    return new Proxy(held, {
      get: (target, name) => {
        const value = Reflect.get(target, name);
        if (typeof value !== "function") return value;
        const isStop = name === "read" || name === "swap" || name === "swapBytes";
        return async (...given: unknown[]) => {
          if (isStop) await hold();
          const result = await busy(async () => value.apply(target, given));
          if (isStop) await hold();
          // What `snapshotChanges` gives looks at the disk later.
          return typeof result?.changes === "function" ? this.#held(result) : result;
        };
      },
    });
  }

  #newId(): string {
    this.#ids += 1;
    return `id-${String(this.#ids).padStart(6, "0")}`;
  }

  #hear(update: SessionUpdate): void {
    try {
      if (!("seq" in update)) return;
      if (update.type === "tool_result") {
        const token = this.#agent.result(update.callId, update.text, update.isError);
        if (token && update.isError && !/stopped|cancelled/i.test(update.text)) this.#oracle.failed(token);
      } else if (update.type === "turn_started") this.#turnIds.push(update.turnId);
      else if (update.type === "hunks_reviewed" && update.shadow !== null) {
        this.#start(async () => {
          const { text } = await this.#host.readBlob({ blob: update.shadow as never });
          this.#oracle.kept(text);
        });
      }
    } catch (error) {
      this.#failure ??= error;
    }
  }

  /** What the client does when the host asks to save: `saveIfCurrent`. */
  #saveForHost(uri: string): boolean {
    const before = this.#buffers.text(uri) ?? "";
    const saved = this.#buffers.save(uri, this.#interleaving.formatOnSave);
    try {
      if (saved) this.#oracle.savedForHost(uri, before);
    } catch (error) {
      this.#failure ??= error;
    }
    return saved;
  }

  async #perform(action: Action): Promise<void> {
    if (action.do === "go_on") {
      for (const pick of action.picks) {
        const moves = this.#moves(false);
        moves[pick % Math.max(1, moves.length)]?.();
        await this.#after();
      }
      return;
    }
    if ("file" in action) this.#touch(action.file);
    if (isAgentAction(action)) this.#promptIfIdle(this.#agent.add(action));
    else if (action.do === "restart") await this.#restart();
    else if (isReviewAction(action)) this.#decide(action);
    else this.#byHand(action);
    await this.#after();
  }

  #touch(file: number): void {
    if (this.#touched.has(file)) return;
    this.#touched.add(file);
    this.#look(file, "hand");
  }

  #look(file: number, cause: Cause): void {
    const uri = this.#folder.uriOf(file);
    this.#oracle.look(
      uri,
      { buffer: this.#buffers.text(uri), disk: readDisk(uri), dirty: this.#buffers.isDirty(uri) },
      cause,
    );
  }

  #lookAtAll(cause: Cause): void {
    for (const file of this.#touched) this.#look(file, cause);
  }

  async #after(): Promise<void> {
    await this.#gates.settle();
    for (const file of this.#touched) {
      this.#look(file, this.#causeNow(file));
      const uri = this.#folder.uriOf(file);
      // Written to the file while a hand began in the document: what the write took away is in the typist's text.
      if (this.#buffers.isDirty(uri)) this.#keepIfBehind(uri);
    }
    for (const file of this.#agent.removed) this.#agent.removing.delete(file);
    this.#agent.removed.clear();
    if (this.#failure) throw this.#failure;
  }

  #causeNow(file: number): Cause {
    const uri = this.#folder.uriOf(file);
    if (this.#agent.removing.has(file)) {
      // The command knows the file, and not what waits in the editor to be saved: from then on that is the user's.
      if (this.#buffers.isDirty(uri)) this.#oracle.kept(this.#buffers.text(uri) ?? "");
      return "removal";
    }
    return this.#undoing > 0 ? "undo" : "agent";
  }

  /** Everything that could happen next. */
  #moves(mayWake: boolean): (() => void)[] {
    const { toHost, toEditor } = this.#wire;
    const { held, sleeping } = this.#gates;
    const reloads = this.#buffers.outdated().map((uri) => () => {
      this.#buffers.reload(uri);
      this.#lookAtAll("hand");
    });
    const first = (queue: (() => void)[]) => (queue.length > 0 ? [() => queue.shift()?.()] : []);
    const moves = [
      ...first(toHost),
      ...first(toEditor),
      ...held.map((release) => () => {
        held.splice(held.indexOf(release), 1);
        release();
      }),
      ...reloads,
    ];
    return moves.length > 0 && !mayWake ? moves : [...moves, ...first(sleeping)];
  }

  async #drain(): Promise<void> {
    let idle = 0;
    for (let moves = 0; moves < maxMoves && idle < maxIdle; moves++) {
      await this.#after();
      const [next] = this.#moves(true);
      if (!next && this.#flows.size === 0) return;
      idle = next ? 0 : idle + 1;
      next?.();
    }
    throw new Error("Something waits for ever.");
  }

  #start(run: () => Promise<unknown>): void {
    const flow: Promise<unknown> = run()
      .catch((error: unknown) => {
        // While an undo is at work, a turn or another undo is refused, and nothing is lost by that.
        if (error instanceof RequestError && error.code === "turn_running") return;
        this.#failure ??= error;
      })
      .finally(() => this.#flows.delete(flow));
    this.#flows.add(flow);
  }

  #undo(run: () => Promise<unknown>): void {
    this.#undoing += 1;
    this.#start(() =>
      run().finally(async () => {
        // The last write of an undo shows when everything has come to rest.
        await this.#gates.settle();
        this.#undoing -= 1;
      }),
    );
  }

  #promptIfIdle(needed: boolean): void {
    if (!needed || this.#turnRuns) return;
    this.#turnRuns = true;
    this.#start(async () => {
      try {
        const prompt = [{ type: "text" as const, text: "Go on" }];
        const { sessionId } = this.#self();
        const { stopReason, failure } = await this.#host.prompt({ sessionId, prompt, origin: "panel" }, never);
        if (failure) throw new Error(`The turn failed: ${failure.message}`);
        if (stopReason !== "end_turn" && stopReason !== "cancelled") throw new Error(`The turn ended: ${stopReason}`);
      } finally {
        this.#turnRuns = false;
      }
    });
  }

  #self() {
    return { sessionId: this.#sessionId };
  }

  async #restart(): Promise<void> {
    this.#agent.stop();
    const closing = this.#host.close();
    this.#start(() => closing);
    await this.#drain();
    this.#agent.reset();
    [this.#wire, this.#host] = this.#startHost();
    this.#start(() => this.#host.loadSession(this.#sessionId));
    await this.#drain();
  }

  #decide(action: ReviewAction): void {
    const uri = "file" in action ? this.#folder.uriOf(action.file) : "";
    const hunks = this.#review.hunksAt(uri);
    const hunkId = "pick" in action ? hunks[action.pick % Math.max(1, hunks.length)]?.hunk.id : undefined;
    const { sessionId } = this.#self();
    if (action.do === "keep" && hunkId) this.#start(() => this.#review.decide("keep", { sessionId, uri, hunkId }));
    if (action.do === "undo_hunk" && hunkId) this.#undo(() => this.#review.decide("undo", { sessionId, uri, hunkId }));
    if (action.do === "keep_file") this.#start(() => this.#review.decideFile("keep", uri));
    if (action.do === "undo_file") this.#undo(() => this.#review.decideFile("undo", uri));
    if (action.do === "undo_all") this.#undo(() => this.#review.decideAll("undo"));
    const turnId = this.#turnIds.at(-1);
    if (action.do === "undo_turn" && turnId && !this.#turnRuns)
      this.#undo(() => this.#host.undo({ sessionId, turnId }));
  }

  #keepIfBehind(uri: string): void {
    if (this.#buffers.isBehind(uri)) this.#oracle.kept(this.#buffers.text(uri) ?? "");
  }

  /** What the typist and other programs do is done at once. */
  #byHand(action: HandAction): void {
    const uri = this.#folder.uriOf(action.file);
    const buffers = this.#buffers;
    // Whoever goes on in a document that is behind its file brings back what was taken from the file.
    this.#keepIfBehind(uri);
    if (action.do === "rewrite") {
      const next = rewritten(readDisk(uri), action, this.#newToken("other"));
      if (next === null) rmSync(new URL(uri), { force: true });
      else writeFileSync(new URL(uri), next);
    } else {
      if (action.do !== "close") buffers.open(uri);
      const text = buffers.text(uri);
      if (text !== undefined) this.#inDocument(action, uri, text);
    }
    this.#lookAtAll("hand");
  }

  #inDocument(action: Exclude<HandAction, { readonly do: "rewrite" }>, uri: string, text: string): unknown {
    const buffers = this.#buffers;
    const { formatOnSave } = this.#interleaving;
    const save = () => {
      if (!buffers.save(uri, formatOnSave)) return false;
      this.#oracle.clean(uri);
      return true;
    };
    switch (action.do) {
      case "type":
        return buffers.type(uri, typed(text, action, this.#newToken("typist")));
      case "cut":
        return buffers.type(uri, cut(text, action.at));
      case "format":
        return buffers.type(uri, formatted(text));
      case "undo":
      case "redo":
        return buffers[action.do](uri);
      case "save":
        return save();
      case "close":
        if (!action.save || !buffers.isDirty(uri) || save()) buffers.close(uri);
        return undefined;
      case "reopen":
        buffers.close(uri);
        return buffers.open(uri);
      default:
        return undefined;
    }
  }

  /** With nothing on the way any more: what is pending is the agent's. */
  async #inspect(): Promise<void> {
    this.#start(() => this.#host.refreshReview(this.#sessionId));
    await this.#drain();
    this.#oracle.attributed(this.#pending);
  }
}

type ReviewAction = Extract<
  Action,
  { readonly do: "keep" | "undo_hunk" | "keep_file" | "undo_file" | "undo_all" | "undo_turn" }
>;
type HandAction = Exclude<Action, AgentAction | ReviewAction | { readonly do: "restart" | "go_on" }>;

function isReviewAction(action: Action): action is ReviewAction {
  return ["keep", "undo_hunk", "keep_file", "undo_file", "undo_all", "undo_turn"].includes(action.do);
}

const never = new AbortController().signal;

const model = {
  id: "test/model",
  name: "Model",
  provider: "test",
  api: "anthropic-messages",
  wireName: "model",
  contextWindow: 1_000_000,
  maxOutputTokens: 10_000,
} as never;
