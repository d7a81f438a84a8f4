/**
 * The model of an interleaving: asks for what its actions say, from what it has been shown, and for nothing while it has
 * no action.
 *
 * Easily got wrong: it edits by what it has last read, which may be long out of date; that is the point.
 */
import type { ModelEvent } from "../../../server/src/model/provider.ts";
import { callBlock, done, textBlock } from "../scriptedProvider.ts";
import { type Action, agentEdit, agentWrite, createTokens, type Token } from "./actions.ts";

/** What the agent is told to do. */
export type AgentAction = Extract<Action, { readonly do: "read" | "edit" | "write" | "remove" | "end_turn" }>;

/** True for what the agent does. */
export function isAgentAction(action: Action): action is AgentAction {
  return ["read", "edit", "write", "remove", "end_turn"].includes(action.do);
}

/** The model: asks for what the actions say, from what it has been shown. */
export class Agent {
  readonly #newToken = createTokens();
  readonly #seen = new Map<number, string>();
  /** Files that commands are deleting. */
  readonly removing = new Set<number>();
  /** Those of them that have been deleted, or not. */
  readonly removed = new Set<number>();
  readonly #calls = new Map<string, { readonly file: number; readonly token?: Token; readonly isRead: boolean }>();
  #queue: AgentAction[] = [];
  #wake: (() => void) | undefined;
  #stopped = false;
  #count = 0;

  /** Takes an action for later; false when it needs no turn. */
  add(action: AgentAction): boolean {
    this.#queue.push(action);
    this.#wake?.();
    return action.do !== "end_turn";
  }

  /** Ends the present answer at once; nothing that waits is done. */
  stop(): void {
    this.#stopped = true;
    this.#queue = [];
    this.#wake?.();
  }

  /** A new host: nothing is open, and what was seen is forgotten there. */
  reset(): void {
    this.#stopped = false;
    this.#seen.clear();
  }

  /** Takes the result of a call; gives the token that the call was to write. */
  result(callId: string, text: string, isError: boolean): Token | undefined {
    const call = this.#calls.get(callId);
    if (call && !call.isRead && !call.token) this.removed.add(call.file);
    if (call?.isRead && !isError) this.#seen.set(call.file, text.slice(text.indexOf("\n") + 1).concat("\n"));
    return call?.token;
  }

  async *stream(): AsyncGenerator<ModelEvent> {
    for (;;) {
      const action = await this.#next();
      if (action === undefined || action.do === "end_turn") {
        yield* textBlock(0, "Done.");
        yield done("end_turn");
        return;
      }
      const call = this.#callFor(action);
      this.#count += 1;
      const callId = `call-${this.#count}`;
      this.#calls.set(callId, call);
      yield* callBlock(0, callId, call.name, call.input);
      yield done("tool_calls");
      return;
    }
  }

  async #next(): Promise<AgentAction | undefined> {
    while (this.#queue.length === 0 && !this.#stopped) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.#queue.shift();
  }

  #callFor(action: Exclude<AgentAction, { readonly do: "end_turn" }>) {
    const { file } = action;
    const path = `file${file}.txt`;
    const seen = this.#seen.get(file);
    if (action.do === "remove") this.removing.add(file);
    if (action.do === "remove") return { file, isRead: false, name: "shell", input: { command: `rm -f ${path}` } };
    const read = { file, isRead: true, name: "read", input: { files: [{ path }] } };
    if (action.do === "read" || seen === undefined) return read;
    const token = this.#newToken("agent");
    if (action.do === "write") {
      return { file, token, isRead: false, name: "write", input: { path, text: agentWrite(seen, action.at, token) } };
    }
    const edit = agentEdit(seen, action, token);
    return edit ? { file, token, isRead: false, name: "edit", input: { path, ...edit } } : read;
  }
}
