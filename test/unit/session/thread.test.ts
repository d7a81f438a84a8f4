/** The fold across compactions: random sessions, whose conversation must always be what a plain model of it says. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ModelMessage } from "../../../server/src/model/provider.ts";
import type { SessionEventBody } from "../../../server/src/protocol/events.ts";
import type { CallId, CompactionId, RestoreId, TurnId } from "../../../server/src/protocol/types.ts";
import { initialState, messagesOf, reduceAll } from "../../../server/src/session/reduce.ts";
import { call, compacted, createEvents, says, started } from "../../support/events.ts";

/** What happens in a session, as data; what cannot happen at that point is passed over. */
type Action =
  | { readonly type: "turn"; readonly calls: number }
  /** A turn that is compacted after its first step. */
  | { readonly type: "long_turn"; readonly calls: number }
  | { readonly type: "compact" }
  | { readonly type: "undo_compaction" }
  | { readonly type: "restore"; readonly turn: number }
  | { readonly type: "undo_restore" };

const actions = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ type: fc.constant("turn" as const), calls: fc.nat(2) }) },
    { weight: 2, arbitrary: fc.record({ type: fc.constant("long_turn" as const), calls: fc.nat(2) }) },
    { weight: 3, arbitrary: fc.constant({ type: "compact" as const }) },
    { weight: 2, arbitrary: fc.constant({ type: "undo_compaction" as const }) },
    { weight: 2, arbitrary: fc.record({ type: fc.constant("restore" as const), turn: fc.nat(5) }) },
    { weight: 2, arbitrary: fc.constant({ type: "undo_restore" as const }) },
  ),
  { maxLength: 30 },
);

/** The conversation at one moment, kept whole: going back is taking an old one. */
interface Snapshot {
  readonly messages: readonly ModelMessage[];
  /** Before each turn that is in it. */
  readonly turns: readonly { readonly turnId: string; readonly before: Snapshot }[];
  readonly compactions: readonly { readonly id: string; readonly before: Snapshot; readonly length: number }[];
}

/** Events, and what the conversation must then be, by copying instead of counting. */
class Model {
  readonly events: SessionEventBody[] = [];
  now: Snapshot = { messages: [], turns: [], compactions: [] };
  #restores: { readonly id: string; readonly before: Snapshot; readonly turnsThen: number }[] = [];
  #turnsBegun = 0;
  #count = 0;

  play(action: Action): void {
    if (action.type === "turn") this.#turn(action.calls, false);
    else if (action.type === "long_turn") this.#turn(action.calls, true);
    else if (action.type === "undo_compaction") this.#undoCompaction();
    else if (action.type === "restore") this.#restore(action.turn);
    else if (action.type === "undo_restore") this.#undoRestore();
    else if (this.now.messages.length > 1) this.#compact(undefined);
  }

  #id(prefix: string): string {
    this.#count += 1;
    return `${prefix}${this.#count}`;
  }

  #turn(calls: number, isLong: boolean): void {
    const turnId = this.#id("t");
    const before = this.now;
    this.#turnsBegun += 1;
    this.#restores = [];
    this.events.push(started(turnId, `prompt of ${turnId}`));
    const prompt: ModelMessage = { role: "user", parts: [{ type: "text", text: `prompt of ${turnId}` }] };
    this.#add(prompt);
    this.now = { ...this.now, turns: [...this.now.turns, { turnId, before }] };
    this.#step(turnId, 1, calls);
    if (isLong) {
      this.#compact(turnId);
      this.#step(turnId, 2, calls);
    }
    this.events.push({ type: "turn_finished", turnId: turnId as TurnId, stopReason: "end_turn" });
  }

  #step(turnId: string, step: number, calls: number): void {
    this.events.push({ type: "step_started", turnId: turnId as TurnId, step });
    const text = says(turnId, step, 0, `answer of ${turnId}`);
    const asked = Array.from({ length: calls }, (_, index) => call(turnId, step, index + 1, this.#id("c")));
    const blocks = [text, ...asked].flatMap((event) => (event.type === "assistant_block" ? [event.block] : []));
    const ids = blocks.flatMap(({ part }) => (part.type === "tool_call" ? [part.callId] : []));
    this.events.push(text, ...asked);
    // They settle in another order than that of the calls.
    for (const callId of ids.toReversed()) {
      this.events.push({ type: "tool_result", callId, text: `of ${callId}`, isError: false, durationMs: 1 });
    }
    this.#add({ role: "assistant", api: "anthropic-messages", blocks });
    const results = ids.map((callId: CallId) => ({ callId, text: `of ${callId}`, isError: false }));
    if (results.length > 0) this.#add({ role: "tool", results });
  }

  #compact(turnId: string | undefined): void {
    const id = this.#id("k");
    const block = { part: { type: "text", text: id }, wire: { type: "compaction", content: id } } as const;
    const isVendor = this.#count % 2 === 0;
    this.events.push(
      compacted({
        compactionId: id as CompactionId,
        ...(turnId === undefined ? {} : { turnId: turnId as TurnId }),
        ...(isVendor ? { block: { api: "anthropic-messages", block } } : {}),
        carried: `carried ${id}`,
      }),
    );
    const prompt = turnId === undefined ? [] : [{ type: "text", text: `prompt of ${turnId}` } as const];
    const messages: readonly ModelMessage[] = [
      ...(isVendor ? [{ role: "assistant", api: "anthropic-messages", blocks: [block] } as const] : []),
      { role: "user", parts: [{ type: "text", text: `carried ${id}` }, ...prompt] },
    ];
    const record = { id, before: this.now, length: messages.length };
    this.now = { ...this.now, messages, compactions: [...this.now.compactions, record] };
  }

  #undoCompaction(): void {
    const last = this.now.compactions.at(-1);
    if (!last) return;
    this.events.push({ type: "compaction_undone", compactionId: last.id as CompactionId });
    // Refused, and so without effect, when something was added to the conversation since.
    if (this.now.messages.length === last.length) this.now = last.before;
  }

  #restore(index: number): void {
    const turn = this.now.turns[index];
    if (!turn) return;
    const id = this.#id("r");
    const gone = this.now.turns.slice(index).map(({ turnId }) => turnId as TurnId);
    const scope = { fileTurns: [], conversationTurns: gone };
    const target = { type: "checkpoint", turnId: turn.turnId as TurnId, files: false, conversation: true } as const;
    this.events.push(
      { type: "restore_started", restoreId: id as RestoreId, target, ...scope, hostPid: 1 },
      { type: "restore_finished", restoreId: id as RestoreId, files: [] },
    );
    this.#restores.push({ id, before: this.now, turnsThen: this.#turnsBegun });
    this.now = turn.before;
  }

  #undoRestore(): void {
    const last = this.#restores.pop();
    if (!last) return;
    const id = this.#id("r");
    const restoreId = id as RestoreId;
    const gone = last.before.turns.slice(this.now.turns.length).map(({ turnId }) => turnId as TurnId);
    const target = { type: "restore", restoreId: last.id as RestoreId } as const;
    this.events.push(
      { type: "restore_started", restoreId, target, fileTurns: [], conversationTurns: gone, hostPid: 1 },
      { type: "restore_finished", restoreId, files: [] },
    );
    this.now = last.before;
  }

  #add(message: ModelMessage): void {
    this.now = { ...this.now, messages: [...this.now.messages, message] };
  }
}

describe("a conversation across compactions", () => {
  test("is what it was, wherever it goes back to", () => {
    fc.assert(
      fc.property(actions, (list) => {
        const model = new Model();
        for (const action of list) {
          model.play(action);
          const state = reduceAll(initialState, createEvents(...model.events));
          expect(messagesOf(state)).toEqual(model.now.messages);
        }
      }),
      { numRuns: 500, seed: 20_261_121 },
    );
  });

  test("has the results of every call right after it", () => {
    fc.assert(
      fc.property(actions, (list) => {
        const model = new Model();
        for (const action of list) model.play(action);
        const messages = messagesOf(reduceAll(initialState, createEvents(...model.events)));
        const idsOf = (message: ModelMessage | undefined) => {
          if (message?.role === "tool") return message.results.map(({ callId }) => callId);
          const blocks = message?.role === "assistant" ? message.blocks : [];
          return blocks.flatMap(({ part }) => (part.type === "tool_call" ? [part.callId] : []));
        };
        for (const [index, message] of messages.entries()) {
          if (message.role === "assistant") expect(idsOf(messages[index + 1])).toEqual(idsOf(message));
          if (message.role === "tool") expect(messages[index - 1]?.role).toBe("assistant");
        }
      }),
      { numRuns: 300, seed: 20_261_122 },
    );
  });
});
