/**
 * What the agent changed and the user has neither kept nor undone, as the host tells it, and the user's decisions on it.
 *
 * Not here: finding out what is pending (the host compares texts, nobody here does), and VS Code's editors. Easily got
 * wrong: hunks of several sessions can be pending at once, also in one file, so each is named with its session.
 */
import type { ReviewChangedParams } from "../../server/src/protocol/clientMethods.ts";
import { type ReviewParams, reviewSession } from "../../server/src/protocol/methods.ts";
import type { PendingSummary } from "../../server/src/protocol/panel.ts";
import type { PendingFile, PendingHunk } from "../../server/src/protocol/review.ts";
import type { SessionId } from "../../server/src/protocol/types.ts";
import type { AgentClient } from "./agentClient.ts";
import { codeOf, messageOf } from "./failure.ts";

/** A file with pending hunks, and the session whose agent made them. */
export interface SessionFile {
  readonly sessionId: SessionId;
  readonly file: PendingFile;
}

/** A pending hunk with where it is. */
export interface SessionHunk extends SessionFile {
  readonly hunk: PendingHunk;
}

/** What to decide on: everything of a session, or less. */
export type ReviewTarget = Omit<ReviewParams, "action">;

/** What the review needs from the extension. */
export interface ReviewDeps {
  readonly agent: Pick<AgentClient, "request">;
  /** Gives all spellings of an address the same form. */
  readonly keyOf: (uri: string) => string;
  /** Tells that something else is pending. */
  readonly onDidChange: () => void;
  /** Tells the user what could not be done. */
  readonly warn: (message: string) => void;
}

/** What is pending. */
export class Review {
  readonly #deps: ReviewDeps;
  readonly #sessions = new Map<SessionId, readonly PendingFile[]>();

  constructor(deps: ReviewDeps) {
    this.#deps = deps;
  }

  /** All files with pending hunks, in the order in which they were first changed. */
  get files(): readonly SessionFile[] {
    return [...this.#sessions].flatMap(([sessionId, files]) => files.map((file) => ({ sessionId, file })));
  }

  /** How many hunks are pending. */
  get count(): number {
    return this.files.reduce((sum, { file }) => sum + file.hunks.length, 0);
  }

  /** The sessions in which something is pending. */
  get sessions(): readonly SessionId[] {
    return [...this.#sessions.keys()];
  }

  /** Takes what the host says about a session. */
  take({ sessionId, files }: ReviewChangedParams): void {
    const had = this.#sessions.has(sessionId);
    if (files.length > 0) this.#sessions.set(sessionId, files);
    else this.#sessions.delete(sessionId);
    if (had || files.length > 0) this.#deps.onDidChange();
  }

  /** What is pending in one file: an entry for each session. */
  filesAt(uri: string): readonly SessionFile[] {
    const key = this.#deps.keyOf(uri);
    return this.files.filter(({ file }) => this.#deps.keyOf(file.uri) === key);
  }

  /** The pending hunks of one file, in line order. */
  hunksAt(uri: string): readonly SessionHunk[] {
    return this.filesAt(uri).flatMap(hunksOf).toSorted(byLine);
  }

  /** The hunk at a line, from 1; a deletion is at the line before it and at the one after it. */
  hunkAtLine(uri: string, line: number): SessionHunk | undefined {
    const hunks = this.hunksAt(uri);
    const covers = ({ hunk: { fromLine, lineCount } }: SessionHunk) => line >= fromLine && line < fromLine + lineCount;
    const touches = ({ hunk: { fromLine, lineCount } }: SessionHunk) =>
      lineCount === 0 && (line === fromLine || line === fromLine - 1);
    return hunks.find(covers) ?? hunks.find(touches);
  }

  /** The hunk after or before a line, from 1, going on in the next file and around; without a place, the first. */
  neighbour(from: { readonly uri: string; readonly line: number } | undefined, step: 1 | -1): SessionHunk | undefined {
    const keys = [...new Set(this.files.map(({ file }) => this.#deps.keyOf(file.uri)))];
    const all = keys.flatMap((key) => this.hunksAt(key));
    const here = from ? this.hunksAt(from.uri) : [];
    const edge = step === 1 ? here[0] : here.at(-1);
    if (!from || !edge) return step === 1 ? all[0] : all.at(-1);
    const beyond = ({ hunk }: SessionHunk) => (step === 1 ? hunk.fromLine > from.line : hunk.fromLine < from.line);
    const near = step === 1 ? here.find(beyond) : here.findLast(beyond);
    if (near) return near;
    const first = keys.indexOf(this.#deps.keyOf(from.uri));
    const next = keys[(first + step + keys.length) % keys.length] ?? "";
    const hunks = this.hunksAt(next);
    return step === 1 ? hunks[0] : hunks.at(-1);
  }

  /** For the panel: files with counts. */
  summaries(): readonly PendingSummary[] {
    return this.files.map(({ sessionId, file }) => ({
      sessionId,
      uri: file.uri,
      status: file.status,
      ...(file.movedFrom === undefined ? {} : { movedFrom: file.movedFrom }),
      hunks: file.hunks.length,
      addedLines: file.addedLines,
      removedLines: file.removedLines,
      turnIds: [...new Set(file.hunks.flatMap(({ turnIds }) => turnIds))],
    }));
  }

  /** Keeps or undoes. A hunk that is no longer there as it was is left alone: the host tells what is there instead. */
  async decide(action: ReviewParams["action"], target: ReviewTarget): Promise<void> {
    try {
      const { files } = await this.#deps.agent.request(reviewSession, { ...target, action });
      const left = files.filter(({ outcome }) => outcome === "conflict").map(({ uri }) => nameOf(uri));
      if (left.length > 0) {
        this.#deps.warn(
          `${left.join(", ")} was left as it is, because it was changed since, or another file is in its place.`,
        );
      }
    } catch (error) {
      if (codeOf(error) === "stale_hunk") this.#deps.onDidChange();
      else this.#deps.warn(messageOf(error));
    }
  }

  /** Keeps or undoes all that is pending in a file, whichever session made it. */
  async decideFile(action: ReviewParams["action"], uri: string): Promise<void> {
    for (const { sessionId, file } of this.filesAt(uri)) await this.decide(action, { sessionId, uri: file.uri });
  }

  /** Keeps or undoes everything. */
  async decideAll(action: ReviewParams["action"]): Promise<void> {
    for (const sessionId of this.sessions) await this.decide(action, { sessionId });
  }
}

function hunksOf({ sessionId, file }: SessionFile): readonly SessionHunk[] {
  return file.hunks.map((hunk) => ({ sessionId, file, hunk }));
}

function byLine(a: SessionHunk, b: SessionHunk): number {
  return a.hunk.fromLine - b.hunk.fromLine;
}

function nameOf(uri: string): string {
  return decodeURIComponent(uri.slice(uri.lastIndexOf("/") + 1));
}
