/**
 * How conversations are compacted: the vendors' own forms, and how a compacted conversation is told from one whose history
 * was changed.
 *
 * Not here: what must hold of the requests around it (`invariants.ts`). Easily got wrong: Anthropic's block stands first, in
 * a message of its own, and needs a beta header; OpenAI's trigger must be the last item, and nobody can read what comes.
 */
import { carriedMark } from "../../../server/src/session/carried.ts";
import type { Answer } from "./answer.ts";
import { asObjects, asText, isObject, type JsonObject } from "./json.ts";
import { type Api, asBlocks, type RequestView } from "./read.ts";
import type { FullStep, Script } from "./script.ts";

/** What answers a request for a compaction for which there is no script. */
export const vendorSummary: Script = {
  name: "compaction",
  compacts: true,
  steps: [{ say: "A summary of the conversation, by the vendor." }],
  repeatLast: true,
};

const beta = "compact-2026-09-04";

/** Whether a request asks the vendor for a compaction in place of an answer. */
export function asksToCompact(api: Api, json: JsonObject): boolean {
  if (api === "anthropic") return isObject(json.compaction);
  return api === "responses" && asObjects(json.input).at(-1)?.type === "compaction_trigger";
}

/** Whether a conversation begins with a compaction: the vendor's block, or the text that Hermes carries over. */
export function beginsCompacted({ turns }: RequestView): boolean {
  const [first] = turns;
  if (first?.role !== "assistant") return first?.text.startsWith(carriedMark) === true;
  const [block] = first.blocks;
  return isObject(block) && block.type === "compaction";
}

/** The answer to such a request: its text as one block, which is empty where that is blank; other steps stay as they are. */
export function asCompaction(answer: Answer, step: FullStep): Answer {
  const text = answer.blocks.map((block) => (block.type === "text" ? block.text : "")).join("");
  if (step.stop !== undefined || step.calls) return answer;
  const id = answer.id.replace(/^\w+?_/, "cmp_");
  const block = {
    type: "compaction",
    id,
    text: text.trim() === "" ? null : text,
    opaque: `sealed-${answer.id}`,
  } as const;
  return { ...answer, stop: "compaction", blocks: [block] };
}

/** What a vendor refuses about compactions. `seals` are those of the double's own, each with its text. */
export function refuseCompaction(
  api: Api,
  json: JsonObject,
  betaHeader: string | undefined,
  seals: (opaque: string) => string | undefined,
): string | undefined {
  if (api === "anthropic") return refuseAnthropic(json, betaHeader, seals);
  const items = api === "responses" ? asObjects(json.input) : [];
  const trigger = items.findIndex(({ type }) => type === "compaction_trigger");
  if (trigger >= 0 && trigger < items.length - 1) return "`compaction_trigger` must be the final input item.";
  const unknown = items.find(
    ({ type, encrypted_content }) => type === "compaction" && seals(asText(encrypted_content)) === undefined,
  );
  return unknown && `The encrypted content for item ${asText(unknown.id)} could not be verified.`;
}

function refuseAnthropic(
  json: JsonObject,
  betaHeader: string | undefined,
  seals: (opaque: string) => string | undefined,
): string | undefined {
  const blocks = asObjects(json.messages).flatMap((message, at) =>
    asBlocks(message.content).flatMap((block, index) =>
      isObject(block) && block.type === "compaction" ? [{ block, at, index }] : [],
    ),
  );
  if (blocks.length === 0 && json.compaction === undefined) return undefined;
  if (!betaHeader?.split(",").some((name) => name.trim() === beta)) return "compaction: Extra inputs are not permitted";
  if (isObject(json.compaction) && json.compaction.type !== "summarize")
    return "compaction.type: Input should be 'summarize'";
  if (blocks.length > 1) return "messages: more than one `compaction` block (compaction_block_ambiguous)";
  const [only] = blocks;
  if (!only) return undefined;
  if (only.at > 0 || only.index > 0)
    return "messages: the `compaction` block is not first (compaction_block_misplaced)";
  const text = seals(asText(only.block.signature));
  if (text === undefined) return "messages.0: Invalid `signature` in `compaction` block";
  if (text !== only.block.content)
    return "messages.0: `content` differs from what was signed (compaction_content_mismatch)";
  return undefined;
}
