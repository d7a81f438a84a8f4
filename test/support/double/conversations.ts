/**
 * Tells conversations apart and says which step of which script answers a request.
 *
 * Not here: checking what the requests hold. Easily got wrong: a request that has the turns of one that failed is
 * another attempt at the same step, whatever model or API it now goes to; anything else is the next step.
 */
import type { Answer } from "./answer.ts";
import { beginsCompacted, vendorSummary } from "./compaction.ts";
import type { RecordedRequest } from "./journal.ts";
import { digest } from "./json.ts";
import type { Api, RequestView } from "./read.ts";
import { chooseScript, type Script } from "./script.ts";

/** An answer that was sent at least in part. */
export interface SentAnswer {
  readonly api: Api;
  readonly answer: Answer;
  readonly request: RecordedRequest;
}

/** One conversation, as the double saw it. */
export interface Conversation {
  readonly key: string;
  readonly script: Script;
  readonly firstUser: string;
  readonly cacheKey: string | undefined;
  /** The conversation of another script whose history this one began with. */
  parent: Conversation | undefined;
  /** It has requests that each begin with another conversation's history: for summaries, titles and the like. */
  readonly forks: boolean;
  /** Ids of the calls it was sent, and what it was told last: a request that holds them is of this conversation. */
  readonly callIds: Set<string>;
  lastText: string;
  /** The newest request that a step answered. */
  last: RecordedRequest | undefined;
  /** The next request goes back to right before the prompt that holds this text: see `checkRewind`. */
  rewindTo: string | undefined;
  /** The next request takes back the last compaction. */
  returns: boolean;
  /** The newest request before each compaction that is in force, oldest first. */
  readonly superseded: RecordedRequest[];
}

/** Finds or begins the conversation of a request. */
export class Conversations {
  #scripts: readonly Script[];
  #all = new Map<string, Conversation>();

  constructor(scripts: readonly Script[]) {
    this.#scripts = scripts;
  }

  /** Takes new scripts and forgets every conversation. */
  reset(scripts: readonly Script[] = this.#scripts): void {
    this.#scripts = scripts;
    this.#all = new Map();
  }

  /** Announces for every conversation that the user goes back to right before a prompt. */
  announceRewind(prompt: string): void {
    for (const conversation of this.#all.values()) conversation.rewindTo = prompt;
  }

  /** Announces for every conversation that the user takes back its last compaction. */
  announceReturn(): void {
    for (const conversation of this.#all.values()) conversation.returns = true;
  }

  /** The conversation of a request; `undefined` when no script fits. `compacts`: it asks for a compaction. */
  find(view: RequestView, headers: Readonly<Record<string, string>>, compacts: boolean): Conversation | undefined {
    const script = chooseScript(this.#scripts, view, compacts) ?? (compacts ? vendorSummary : undefined);
    if (!script) return undefined;
    const prefix = `${this.#scripts.indexOf(script)}:${script.name ?? script.match ?? ""}`;
    const named = headers["x-hermes-conversation"];
    const forks = compacts || script.matchLast !== undefined;
    const parent = forks ? (this.#forkedFrom(view) ?? this.#continued(undefined, view, {})) : undefined;
    const key = `${prefix}/${named ?? parent?.key ?? view.cacheKey ?? digest(view.firstUser).slice(0, 12)}`;
    const known = this.#all.get(key) ?? (forks ? undefined : this.#continued(script, view, headers));
    if (known) {
      if (forks) known.parent = parent;
      return known;
    }
    const made: Conversation = {
      key,
      script,
      firstUser: view.firstUser,
      cacheKey: view.cacheKey,
      parent: forks ? parent : this.#continued(undefined, view, {}),
      forks,
      callIds: new Set(),
      lastText: "",
      last: undefined,
      rewindTo: undefined,
      returns: false,
      superseded: [],
    };
    this.#all.set(key, made);
    return made;
  }

  /** The conversation whose newest request a request has most of. */
  #forkedFrom(view: RequestView): Conversation | undefined {
    const kept = ({ last }: Conversation) => (last?.view ? samePrefix(last.view, view) : 0);
    const own = [...this.#all.values()].filter((conversation) => !conversation.forks && kept(conversation) > 0);
    return own.toSorted((a, b) => kept(b) - kept(a))[0];
  }

  /** A conversation (of this script, or of any) that goes on under another key: after compaction, or because the client changed the key. */
  #continued(
    script: Script | undefined,
    view: RequestView,
    headers: Readonly<Record<string, string>>,
  ): Conversation | undefined {
    const ofScript = [...this.#all.values()]
      .filter((conversation) => !script || conversation.script === script)
      .reverse();
    if (headers["x-hermes-compacted"] === "1") return ofScript[0];
    if (beginsCompacted(view)) {
      const own = ofScript.filter((conversation) => !conversation.forks);
      return own.find(({ last }) => last?.view?.units[0] === view.units[0]) ?? own[0];
    }
    if (!view.turns.some((turn) => turn.role === "assistant")) return undefined;
    const calls = view.turns.flatMap((turn) => (turn.role === "assistant" ? turn.calls : []));
    const text = view.turns.findLast((turn) => turn.role === "assistant")?.text ?? "";
    return (
      ofScript.find((conversation) => calls.some((call) => conversation.callIds.has(call.id))) ??
      ofScript.find((conversation) => conversation.firstUser === view.firstUser) ??
      ofScript.find((conversation) => text !== "" && conversation.lastText === text)
    );
  }
}

/** How many messages two requests begin with that are the same. */
export function samePrefix(earlier: RequestView, view: RequestView): number {
  const at = earlier.units.findIndex((unit, index) => view.units[index] !== unit);
  return at < 0 ? earlier.units.length : at;
}

/** Notes what a conversation is about to be told. */
export function noteAnswer(conversation: Conversation, answer: Answer): void {
  for (const block of answer.blocks) if (block.type === "call") conversation.callIds.add(block.callId);
  conversation.lastText = answer.blocks.map((block) => (block.type === "text" ? block.text : "")).join("");
}

/** Which step answers `view`, and how many attempts at it came before. */
export function placeRequest(conversation: Conversation, view: RequestView): { step: number; attempt: number } {
  const { last } = conversation;
  if (!last?.view) return { step: 0, attempt: 0 };
  const again = last.outcome !== "complete" && shape(last.view) === shape(view);
  return again ? { step: last.step, attempt: last.attempt + 1 } : { step: last.step + 1, attempt: 0 };
}

function shape(view: RequestView): string {
  const count = { assistant: 0, spoken: 0, results: 0 };
  for (const turn of view.turns) {
    if (turn.role === "assistant") count.assistant += 1;
    else {
      count.results += turn.results.length;
      if (turn.text !== "") count.spoken += 1;
    }
  }
  return JSON.stringify(count);
}
