/**
 * Which session the panel shows, and what the panel asks of the host about it.
 *
 * Not here: VS Code's windows and editors (they come in through `deps`), and any state of the conversation: the page
 * folds that. Easily got wrong: events that arrive while a session is being loaded are kept back and sent after it, and
 * deltas among them are dropped, because what they said is in the loaded state.
 */
import type { SessionUpdate } from "../../server/src/protocol/events.ts";
import {
  cancelSession,
  compactSession,
  costSummary,
  type ListModelsResult,
  listModels,
  listSessions,
  loadSession,
  newSession,
  type OpenFile,
  promptSession,
  type RestoreResult,
  raiseLimit,
  restoreSession,
  selectModel,
  setCredential,
  undoCompaction,
  undoRestore,
  undoTurn,
  warmUpSession,
} from "../../server/src/protocol/methods.ts";
import type { ToPanel } from "../../server/src/protocol/panel.ts";
import type {
  CompactionId,
  CredentialName,
  Failure,
  LimitStanding,
  PromptPart,
  ReferencePart,
  RestoreId,
  SessionId,
  SessionSummary,
  TurnId,
} from "../../server/src/protocol/types.ts";
import type { AgentClient } from "./agentClient.ts";
import { type Checkpoint, checkpointsOf } from "./checkpoints.ts";
import { toCsv } from "./costCsv.ts";
import type { EnteredCredential } from "./credentials.ts";
import { actionOf, codeOf, messageOf } from "./failure.ts";

/** Turns of a session that are shown first. */
const newestTurns = 5;

/** What is remembered for the workspace between windows. */
export interface Memory {
  get(name: "session" | "model"): string | undefined;
  set(name: "session" | "model", value: string | undefined): void;
}

/** What the conversation needs from the extension. */
export interface ConversationDeps {
  readonly agent: Pick<AgentClient, "request" | "notify" | "status">;
  /** Sends to the page, if there is one. */
  readonly post: (message: ToPanel) => void;
  readonly takeReferences: () => readonly ReferencePart[];
  /** What the user has open now. */
  readonly openFiles: () => readonly OpenFile[];
  readonly askForKey: (name: CredentialName | undefined) => Promise<EnteredCredential | undefined>;
  readonly memory: Memory;
  readonly onDidChangeRunning: (running: boolean) => void;
  readonly onDidChangeModels: (list: ListModelsResult) => void;
  /** Told of files that a restore left as they are and of which there are two texts. */
  readonly onConflicts: (conflicts: RestoreConflicts) => void;
  readonly log: (message: string) => void;
}

/** Files that a restore left as they are. */
export interface RestoreConflicts {
  readonly sessionId: SessionId;
  readonly restoreId: RestoreId;
  readonly uris: readonly string[];
}

/** The conversation in the panel. */
export class Conversation {
  readonly #deps: ConversationDeps;
  readonly #running = new Set<SessionId>();
  #sessionId: SessionId | undefined;
  #models: ListModelsResult | undefined;
  /** Events that arrived while a session is being loaded. */
  #heldBack: SessionUpdate[] | undefined;
  /** Counts loads, so that only the last one is shown. */
  #loads = 0;
  /** How many of the newest turns are asked for. */
  #turns = newestTurns;

  constructor(deps: ConversationDeps) {
    this.#deps = deps;
    this.#sessionId = toSessionId(deps.memory.get("session"));
  }

  /** The session on screen. */
  get sessionId(): SessionId | undefined {
    return this.#sessionId;
  }

  /** The models as last listed. */
  get models(): ListModelsResult | undefined {
    return this.#models;
  }

  /** Tells a new page, or one after a restart of the host, everything. */
  async show(): Promise<void> {
    if (this.#models) this.#deps.post({ type: "models", ...this.#models });
    if (this.#deps.agent.status.state === "no_folder") return;
    await Promise.all([this.refreshModels(), this.#load()]);
  }

  /** Takes what the host says about any session. */
  update(sessionId: SessionId, updates: readonly SessionUpdate[]): void {
    const before = this.#running.size > 0;
    for (const { type } of updates) {
      if (type === "turn_started") this.#running.add(sessionId);
      if (type === "turn_finished") this.#running.delete(sessionId);
    }
    const after = this.#running.size > 0;
    if (after !== before) this.#deps.onDidChangeRunning(after);
    if (sessionId !== this.#sessionId) return;
    if (this.#heldBack) this.#heldBack.push(...updates);
    else this.#deps.post({ type: "updates", sessionId, updates });
  }

  /** The host is gone: nothing runs. */
  hostStopped(): void {
    if (this.#running.size === 0) return;
    this.#running.clear();
    this.#deps.onDidChangeRunning(false);
  }

  /** The host runs again: shows the session as it was stored, and says so. */
  async hostRestarted(): Promise<void> {
    await this.show();
    const message = "The agent host stopped and was restarted. What it had stored is all here.";
    this.#deps.post({ type: "notice", message });
  }

  /** Sends a prompt, in the session on screen or in a new one. */
  async submit(text: string): Promise<void> {
    const prompt: readonly PromptPart[] = [{ type: "text", text }, ...this.#deps.takeReferences()];
    await this.#prompt(prompt);
  }

  /** Sends an earlier prompt again. */
  async tryAgain(prompt: readonly PromptPart[]): Promise<void> {
    await this.#prompt(prompt);
  }

  /** Asks the model, in a new session, what was answered from the cache. */
  async askAgain(prompt: readonly PromptPart[]): Promise<void> {
    this.startNew();
    await this.#prompt(prompt, true);
  }

  /** The user is about to write, or writes: the host prepares, and the page is told what the next request costs. */
  async warmUp(intent: "focus" | "typing"): Promise<void> {
    const { agent, post, log } = this.#deps;
    if (agent.status.state !== "running") return;
    const sessionId = this.#sessionId;
    try {
      const { forecast } = await agent.request(warmUpSession, { intent, ...(sessionId ? { sessionId } : {}) });
      if (sessionId) post({ type: "forecast", sessionId, forecast });
    } catch (error) {
      // Nothing was asked for: what is wrong, such as a missing key, is told when a prompt is sent.
      log(messageOf(error));
    }
  }

  /** Ends the running turn of the session on screen. */
  async stop(): Promise<void> {
    if (this.#sessionId) await this.#try(this.#deps.agent.notify(cancelSession, { sessionId: this.#sessionId }));
  }

  /** Shows the empty state; the session is made with the first prompt. */
  startNew(): void {
    this.#loads++;
    this.#heldBack = undefined;
    this.#choose(undefined);
    this.#deps.post({ type: "session", sessionId: undefined, events: [], live: [] });
  }

  /** Shows a session. */
  async open(sessionId: SessionId): Promise<void> {
    this.#choose(sessionId);
    await this.#load();
  }

  /** Sends the page the sessions that a query finds. */
  async list(query: string): Promise<void> {
    const sessions = await this.#try(this.sessions(query));
    if (sessions) this.#deps.post({ type: "sessions", query, sessions });
  }

  /** The sessions of this workspace, newest first. */
  async sessions(query: string): Promise<readonly SessionSummary[]> {
    const { sessions } = await this.#deps.agent.request(listSessions, { ...(query ? { query } : {}), limit: 200 });
    return sessions;
  }

  /** Shows the page what was spent in this month and the one before, and the limits. */
  async showCost(): Promise<void> {
    this.#deps.post({ type: "cost" });
    await this.#tellCost();
  }

  /** Raises a limit for the rest of its period, and shows the page what holds now. */
  async raiseLimit({ period, unit }: LimitStanding, limit: number): Promise<void> {
    if (period === "turn") return;
    const sessionId = period === "session" && this.#sessionId ? { sessionId: this.#sessionId } : {};
    await this.#try(this.#deps.agent.request(raiseLimit, { period, unit, limit, ...sessionId }));
    await this.#tellCost();
  }

  async #tellCost(): Promise<void> {
    const session = this.#sessionId ? { sessionId: this.#sessionId } : {};
    const summary = await this.#try(this.#deps.agent.request(costSummary, { months: 2, ...session }));
    if (summary) this.#deps.post({ type: "cost", ...summary });
  }

  /** The rows of the cost view, as comma-separated values. */
  async costAsCsv(): Promise<string | undefined> {
    const summary = await this.#try(this.#deps.agent.request(costSummary, { months: 24 }));
    return summary && toCsv(summary.rows);
  }

  /** Chooses the model for further prompts, in this window and later ones. */
  async selectModel(model: string): Promise<void> {
    const list = await this.#try(this.#deps.agent.request(selectModel, { model }));
    if (!list) return;
    this.#deps.memory.set("model", model);
    this.showModels(list);
    if (this.#sessionId) await this.warmUp("focus");
  }

  /** Asks for a key; then takes the wanted model, or the first that the key makes ready in place of a recording. */
  async setApiKey(name?: CredentialName, model?: string): Promise<void> {
    const entered = await this.#deps.askForKey(name);
    if (!entered) return;
    const list = await this.#try(this.#deps.agent.request(setCredential, entered));
    if (!list) return;
    this.showModels(list);
    const selected = list.models.find(({ id }) => id === list.selected);
    const isMissing = selected?.state !== "ready";
    const ready = list.models.find(({ credential, state }) => credential === entered.name && state === "ready");
    const wanted = list.models.find(({ id, state }) => id === model && state === "ready") ?? (isMissing && ready);
    if (wanted && wanted.id !== list.selected) await this.selectModel(wanted.id);
  }

  /** Tells the host of a key that was changed in another window. */
  async keyChanged(change: EnteredCredential): Promise<void> {
    if (this.#deps.agent.status.state !== "running") return;
    const list = await this.#try(this.#deps.agent.request(setCredential, change));
    if (list) this.showModels(list);
  }

  /** Undoes what a turn changed; the session's events tell the outcome. */
  async undo(turnId: TurnId): Promise<void> {
    await this.#restored((sessionId) => this.#deps.agent.request(undoTurn, { sessionId, turnId }));
  }

  /** Goes back to right before a turn, and puts its prompt into the prompt box when the conversation goes back. */
  async restore(turnId: TurnId, what: { readonly files: boolean; readonly conversation: boolean }): Promise<void> {
    const { files, conversation } = what;
    await this.#restored((sessionId) =>
      this.#deps.agent.request(restoreSession, { sessionId, turnId, files, conversation }),
    );
  }

  /** Takes back a restore, or the undo of a turn. */
  async undoRestore(restoreId: RestoreId): Promise<void> {
    await this.#restored((sessionId) => this.#deps.agent.request(undoRestore, { sessionId, restoreId }));
  }

  /** Replaces the conversation on screen, as models are given it, by a summary; the session's events tell the outcome. */
  async compact(hint?: string): Promise<void> {
    const sessionId = this.#sessionId;
    if (!sessionId) return this.#deps.post({ type: "notice", message: "This session has nothing to compact yet." });
    await this.#try(this.#deps.agent.request(compactSession, { sessionId, ...(hint ? { hint } : {}) }));
  }

  /** Takes back the last compaction of the session on screen. */
  async undoCompaction(compactionId: CompactionId): Promise<void> {
    const sessionId = this.#sessionId;
    if (sessionId) await this.#try(this.#deps.agent.request(undoCompaction, { sessionId, compactionId }));
  }

  /** Undoes the last turn that changed files. Answers false when there is none. */
  async undoLast(): Promise<boolean> {
    const checkpoints = await this.checkpoints();
    const last = checkpoints.findLast(({ files, isUndone }) => files > 0 && !isUndone);
    if (last) await this.undo(last.turnId);
    return last !== undefined;
  }

  /** The turns of the session on screen that one can go back to, oldest first. */
  async checkpoints(): Promise<readonly Checkpoint[]> {
    if (!this.#sessionId) return [];
    const { events } = await this.#deps.agent.request(loadSession, { sessionId: this.#sessionId });
    return checkpointsOf(events);
  }

  async #restored(request: (sessionId: SessionId) => Promise<RestoreResult>): Promise<void> {
    const sessionId = this.#sessionId;
    const result = sessionId && (await this.#try(request(sessionId)));
    if (!sessionId || !result) return;
    const { restoreId, files, prompt } = result;
    const text = prompt?.flatMap((part) => (part.type === "text" ? [part.text] : [])).join("\n\n");
    if (text && sessionId === this.#sessionId) this.#deps.post({ type: "draft", text });
    const uris = files.filter(({ bothSides }) => bothSides).map(({ uri }) => uri);
    if (uris.length > 0) this.#deps.onConflicts({ sessionId, restoreId, uris });
  }

  /** Asks the host for the models again, and for the remembered choice. */
  async refreshModels(): Promise<void> {
    const list = await this.#try(this.#deps.agent.request(listModels, {}));
    if (!list) return;
    const remembered = this.#deps.memory.get("model");
    const isThere = list.models.some(({ id, state }) => id === remembered && state === "ready");
    if (remembered && isThere && remembered !== list.selected) await this.selectModel(remembered);
    else this.showModels(list);
  }

  /** Shows a list of models that the host sent. */
  showModels(list: ListModelsResult): void {
    this.#models = list;
    this.#deps.post({ type: "models", ...list });
    this.#deps.onDidChangeModels(list);
  }

  async #prompt(prompt: readonly PromptPart[], fresh = false): Promise<void> {
    try {
      const sessionId = this.#sessionId ?? (await this.#create());
      const { failure } = await this.#deps.agent.request(promptSession, {
        sessionId,
        prompt,
        origin: "panel",
        openFiles: this.#deps.openFiles(),
        ...(fresh ? { fresh } : {}),
      });
      // The one failure that the session's events cannot tell.
      if (failure?.code === "storage") this.#deps.post({ type: "failed", failure });
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#deps.post({ type: "prompt_settled" });
      void this.warmUp("focus");
    }
  }

  async #create(): Promise<SessionId> {
    const { sessionId } = await this.#deps.agent.request(newSession, {});
    this.#choose(sessionId);
    this.#deps.post({ type: "session", sessionId, events: [], live: [] });
    return sessionId;
  }

  #choose(sessionId: SessionId | undefined): void {
    if (sessionId !== this.#sessionId) this.#turns = newestTurns;
    this.#sessionId = sessionId;
    this.#deps.memory.set("session", sessionId);
  }

  /** Shows more of the session's turns than the page has now. */
  async showEarlier(shown: number): Promise<void> {
    this.#turns = 2 * Math.max(shown, newestTurns);
    await this.#load();
  }

  async #load(): Promise<void> {
    const sessionId = this.#sessionId;
    const load = ++this.#loads;
    if (!sessionId) return this.#deps.post({ type: "session", sessionId: undefined, events: [], live: [] });
    this.#heldBack = [];
    try {
      const { events, live, running, hasEarlier } = await this.#deps.agent.request(loadSession, {
        sessionId,
        turns: this.#turns,
      });
      if (load !== this.#loads) return;
      const last = events.at(-1)?.seq ?? 0;
      const later = (this.#heldBack ?? []).filter((update) => "seq" in update && update.seq > last);
      this.#heldBack = undefined;
      this.#deps.post({ type: "session", sessionId, events, live, ...(hasEarlier ? { hasEarlier } : {}) });
      if (later.length > 0) this.#deps.post({ type: "updates", sessionId, updates: later });
      if (running && !this.#running.has(sessionId)) {
        this.#running.add(sessionId);
        this.#deps.onDidChangeRunning(true);
      }
    } catch (error) {
      if (load !== this.#loads) return;
      this.#heldBack = undefined;
      if (codeOf(error) === "unknown_session") return this.startNew();
      this.#failed(error);
    }
  }

  async #try<T>(work: Promise<T>): Promise<T | undefined> {
    try {
      return await work;
    } catch (error) {
      this.#failed(error);
      return undefined;
    }
  }

  #failed(error: unknown): void {
    const failure: Failure = { code: codeOf(error), message: messageOf(error) };
    this.#deps.log(failure.message);
    // A host that stopped is told by its own state; the failed request says nothing more.
    if (this.#deps.agent.status.state !== "running") return;
    const action = actionOf(failure.code);
    this.#deps.post({ type: "failed", failure, ...(action ? { action } : {}) });
  }
}

function toSessionId(text: string | undefined): SessionId | undefined {
  return text === undefined ? undefined : (text as SessionId);
}
