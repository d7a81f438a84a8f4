/** What the double refuses about compactions, as the vendors do, and how it tells one from a history that was changed. */
import { expect, test } from "vitest";
import { refuseCompaction } from "../../support/double/compaction.ts";
import type { JsonObject } from "../../support/double/json.ts";

const seals = (opaque: string) => (opaque === "ours" ? "The summary." : undefined);
const beta = "compact-2026-09-04";
const block = { type: "compaction", content: "The summary.", signature: "ours" };
const user = { role: "user", content: "Go on." };
const messages = (...list: readonly JsonObject[]) => ({ messages: list });
const assistant = (...content: readonly JsonObject[]) => ({ role: "assistant", content });

test.each<[string, JsonObject, string | undefined, RegExp | undefined]>([
  ["no compaction at all", messages(user), undefined, undefined],
  ["a block, first and as it came", messages(assistant(block), user), `other, ${beta}`, undefined],
  ["a request for one", { ...messages(user), compaction: { type: "summarize" } }, beta, undefined],
  ["a request without the beta", { ...messages(user), compaction: { type: "summarize" } }, undefined, /Extra inputs/],
  ["a block without the beta", messages(assistant(block), user), "other", /Extra inputs/],
  ["a request of another kind", { ...messages(user), compaction: { type: "prune" } }, beta, /summarize/],
  ["a block that is not first", messages(user, assistant(block), user), beta, /misplaced/],
  ["a block behind another", messages(assistant({ type: "text", text: "x" }, block), user), beta, /misplaced/],
  ["two blocks", messages(assistant(block), user, assistant(block), user), beta, /ambiguous/],
  ["another text", messages(assistant({ ...block, content: "More." }), user), beta, /mismatch/],
  ["another seal", messages(assistant({ ...block, signature: "theirs" }), user), beta, /signature/],
])("Anthropic: %s", (_what, json, header, refusal) => {
  const message = refuseCompaction("anthropic", json, header, seals);
  if (refusal) expect(message).toMatch(refusal);
  else expect(message).toBeUndefined();
});

const item = { type: "compaction", id: "cmp_1", encrypted_content: "ours" };
const trigger = { type: "compaction_trigger" };

test.each<[string, readonly JsonObject[], RegExp | undefined]>([
  ["an item as it came", [item, user], undefined],
  ["a trigger at the end", [user, trigger], undefined],
  ["a trigger before something", [trigger, user], /final/],
  ["an item of somebody else", [{ ...item, encrypted_content: "theirs" }, user], /verified/],
])("Responses: %s", (_what, input, refusal) => {
  const message = refuseCompaction("responses", { input }, undefined, seals);
  if (refusal) expect(message).toMatch(refusal);
  else expect(message).toBeUndefined();
});
