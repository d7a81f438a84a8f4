/**
 * What the double remembers of its own answers, to recognise them when they come back: blocks, signatures, ciphertexts,
 * and the responses it holds for `previous_response_id`.
 *
 * Not here: judging. Easily got wrong: signatures are bound to everything before the answer they came with, so the
 * digest of that prefix is kept with them.
 */
import type { Json } from "../../../server/src/protocol/types.ts";
import type { SentAnswer } from "./conversations.ts";
import { comparable, echoKey } from "./echo.ts";
import { asList, asText, digest, type JsonObject } from "./json.ts";
import type { RequestView } from "./read.ts";

/** An answer with the blocks that its client must send back. */
export interface Remembered extends SentAnswer {
  readonly echo: readonly Json[];
}

/** A thinking block the double sent, and what it was bound to. */
export interface Thought {
  readonly text: string;
  /** Digest of tools, system and every message before the answer. */
  readonly prefix: string;
}

/** Holds an answer as long as the server keeps its request; digests and signatures stay. */
export class Memory {
  readonly #answers = new Map<string, Remembered>();
  readonly #thoughts = new Map<string, Thought>();
  readonly #stored = new Map<string, readonly Json[]>();
  readonly #echoes = new Set<string>();
  readonly #rawCalls = new Set<string>();

  /** Forgets everything. */
  clear(): void {
    this.#answers.clear();
    this.#thoughts.clear();
    this.#stored.clear();
    this.#echoes.clear();
    this.#rawCalls.clear();
  }

  /** Remembers an answer that is about to be sent. */
  sent(sent: SentAnswer, echo: readonly Json[]): void {
    const { answer, request } = sent;
    this.#answers.set(answer.id, { ...sent, echo });
    for (const block of answer.blocks) if (block.type === "call" && block.raw) this.#rawCalls.add(block.callId);
    this.#echoes.add(digest(echoKey(sent.api, comparable(sent.api, echo, this))));
    const { view, json } = request;
    if (view && json) {
      const thinks = answer.blocks.some((block) => block.type === "thinking" || block.type === "redacted");
      const prefix = thinks ? (prefixDigests(view).at(-1) ?? "") : "";
      for (const block of answer.blocks)
        if (block.type === "compaction") this.#thoughts.set(block.opaque, { text: block.text ?? "", prefix: "" });
        else if (block.type === "thinking" || block.type === "redacted")
          this.#thoughts.set(block.opaque, { text: block.type === "thinking" ? block.text : "", prefix });
      if (sent.api === "responses" && json.store !== false)
        this.#stored.set(answer.id, [...this.responsesItems(json), ...echo]);
    }
  }

  /** Lets go of an answer whose request is no longer kept. */
  forget(id: string): void {
    this.#answers.delete(id);
    this.#stored.delete(id);
  }

  /** The answer of that message or response id. */
  answer(id: string): Remembered | undefined {
    return this.#answers.get(id);
  }

  /** Every answer still remembered, newest first. */
  answers(): Remembered[] {
    return [...this.#answers.values()].reverse();
  }

  /** True when an answer has this key (`echoKey`). */
  isEcho(key: string): boolean {
    return this.#echoes.has(digest(key));
  }

  /** True for a call whose arguments the script gave as raw text. */
  isRawCall(id: string): boolean {
    return this.#rawCalls.has(id);
  }

  /** The thinking that carries this signature or ciphertext. */
  thought(opaque: string): Thought | undefined {
    return this.#thoughts.get(opaque);
  }

  /** True when a response of that id can be continued. */
  holds(responseId: string): boolean {
    return this.#stored.has(responseId);
  }

  /** The items that `previous_response_id` stands for. */
  earlierItems(json: JsonObject): readonly Json[] {
    return this.#stored.get(asText(json.previous_response_id)) ?? [];
  }

  /** All items of a Responses request: those it stands on, then its own. */
  responsesItems(json: JsonObject): readonly Json[] {
    const input = json.input;
    const own = typeof input === "string" ? [{ role: "user", content: input }] : asList(input);
    return [...this.earlierItems(json), ...own];
  }
}

/** For each count of messages, the digest of tools, system and that many: what a thinking block after them is bound to. */
export function prefixDigests(view: RequestView): string[] {
  const digests = [digest(...view.tools, "system", ...view.system)];
  for (const unit of view.units) digests.push(digest(digests.at(-1) ?? "", unit));
  return digests;
}
