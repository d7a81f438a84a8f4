/**
 * What a careful client promises of its requests, checked on every one: an append-only prefix, answers echoed as they
 * came, one result per call in call order, legal and useful cache markers.
 *
 * Not here: what vendors refuse (`refusals.ts`). Easily got wrong: a client tags a planned break by a header,
 * `x-hermes-compacted: 1` for its history or `x-hermes-changed: model,tools,system` for single settings; then it is none.
 * So is a conversation that begins with a compaction which the request before did not have. A test announces that the user
 * goes back to an earlier prompt (`rewindTo`) or takes back a compaction (`returns`): then exactly that one break is none.
 */
import { beginsCompacted } from "./compaction.ts";
import { type Conversation, samePrefix } from "./conversations.ts";
import { recognise } from "./echo.ts";
import type { RecordedRequest } from "./journal.ts";
import { canonical, isObject, type JsonObject } from "./json.ts";
import type { Memory } from "./memory.ts";
import { anthropicBlocks, minimumPrefix } from "./prefixCache.ts";
import type { RequestView } from "./read.ts";

/** A broken rule. `request` is the ordinal of the request; `rule` is `I1` to `I17`, or a word. */
export interface Violation {
  readonly request: number;
  readonly rule: string;
  readonly message: string;
}

/** What decides: see `DoubleOptions`. */
export interface CheckOptions {
  readonly strict?: boolean;
  readonly minimumPrefix?: number;
}

interface Found {
  readonly rule: string;
  readonly message: string;
}

/** Every rule that `record` breaks, given what its conversation sent before. */
export function checkRequest(
  record: RecordedRequest,
  conversation: Conversation | undefined,
  memory: Memory,
  options: CheckOptions,
): Found[] {
  const { json, view } = record;
  if (!json || !view) return [];
  const newest = conversation?.forks ? undefined : conversation?.last;
  const isReturn = takeReturn(conversation);
  const last = isReturn ? (conversation?.superseded.pop() ?? newest) : newest;
  const earlier = last?.view?.api === view.api ? last.view : undefined;
  const isCompacted = earlier !== undefined && beginsCompacted(view) && earlier.units[0] !== view.units[0];
  const tags = { ...readTags(record), history: isCompacted };
  if (isCompacted && last) conversation?.superseded.push(last);
  const rewind = takeRewind(conversation);
  const kept = earlier ? samePrefix(earlier, view) : 0;
  return [
    ...checkAlone(json, view, options),
    ...checkMarkers(json, view, tags.compacted || tags.history || rewind !== undefined ? undefined : last, options),
    ...checkResultOrder(view),
    ...checkEchoes(view, memory, earlier && kept === earlier.units.length ? kept : 0),
    ...(earlier && last && rewind === undefined ? checkAgainst(earlier, view, last, kept, tags) : []),
    ...(earlier && last && rewind !== undefined
      ? checkRewinds(view, [last, ...takenBack(conversation)], rewind, tags)
      : []),
    ...(last?.view ? checkKey(last.view, view) : []),
    ...(last ? checkRetry(last, record) : []),
    ...(conversation && !last && !tags.compacted ? checkFork(conversation, view) : []),
  ];
}

interface Tags {
  readonly compacted: boolean;
  /** It begins with a new compaction. */
  readonly history: boolean;
  readonly changed: ReadonlySet<string>;
}

function readTags(record: RecordedRequest): Omit<Tags, "history"> {
  const changed = record.headers["x-hermes-changed"] ?? "";
  return {
    compacted: record.headers["x-hermes-compacted"] === "1",
    changed: new Set(changed.split(",").map((name) => name.trim())),
  };
}

function found(rule: string, message: string): Found {
  return { rule, message };
}

const volatile: readonly (readonly [RegExp, string])[] = [
  [/\b(today|current (date|time)|date|now)\b[^\n]{0,24}\b20\d\d[-/]\d\d?[-/]\d\d?\b/i, "a date"],
  [/\b(today|current date)\b[^\n]{0,24}\b[A-Z][a-z]+ \d{1,2},? 20\d\d\b/, "a date"],
  [/\b20\d\d-\d\d-\d\dT\d\d:\d\d/, "a time"],
  [/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/i, "a random id"],
  [/^(On branch \S+|Changes not staged for commit:|git status:)/im, "git status"],
  [/^(open (files|editors|tabs)|directory listing|files in the (current|working) directory)\s*:/im, "a listing"],
];
const sampling = ["temperature", "top_p", "top_k"];
const chatFields = new Set(
  "messages model audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens metadata modalities moderation n parallel_tool_calls prediction presence_penalty prompt_cache_key prompt_cache_options prompt_cache_retention reasoning_effort response_format safety_identifier seed service_tier stop store stream stream_options temperature tool_choice tools top_logprobs top_p user verbosity web_search_options".split(
    " ",
  ),
);

function checkAlone(json: JsonObject, view: RequestView, { strict }: CheckOptions): Found[] {
  const out: Found[] = [];
  for (const name of sampling) if (name in json) out.push(found("sampling", `The request sets ${name}.`));
  const sorted = view.toolNames.toSorted((a, b) => (a < b ? -1 : 1));
  if (sorted.join() !== view.toolNames.join())
    out.push(found("I1", `Tools are not sorted by name: ${view.toolNames.join(", ")}.`));
  for (const [pattern, what] of volatile) {
    const match = pattern.exec(view.systemText);
    if (match) out.push(found("I2", `The system prompt holds ${what}: ${JSON.stringify(match[0])}.`));
  }
  const blank = view.turns.find((turn) => turn.text !== "" && turn.text.trim() === "");
  if (blank) out.push(found("I17", `Message ${blank.at} is nothing but white space.`));
  if (view.api !== "anthropic") out.push(...checkBreakpoints(json));
  if (strict && view.api === "chat")
    for (const name of Object.keys(json))
      if (!chatFields.has(name)) out.push(found("chat-fields", `Compatible servers may refuse the field ${name}.`));
  if (strict && view.api === "responses") {
    if (view.cacheKey === undefined) out.push(found("I14", "The request has no prompt_cache_key."));
    if (json.store !== false) out.push(found("store", "The request lets the vendor keep the conversation (store)."));
  }
  return out;
}

function checkBreakpoints(json: JsonObject): Found[] {
  const options = json.prompt_cache_options;
  const marks = JSON.stringify(json).split('"prompt_cache_breakpoint":{').length - 1;
  const most = isObject(options) && options.mode === "explicit" ? 4 : 3;
  return marks > most ? [found("I14", `${marks} explicit breakpoints, of which only ${most} count.`)] : [];
}

function checkAgainst(
  earlier: RequestView,
  view: RequestView,
  last: RecordedRequest,
  kept: number,
  { compacted, history, changed }: Tags,
): Found[] {
  const out: Found[] = [];
  if (!compacted) {
    if (!changed.has("tools") && earlier.tools.join() !== view.tools.join())
      out.push(found("I1", `Tools differ from request ${last.ordinal}: ${firstDifference(earlier.tools, view.tools)}`));
    if (!changed.has("system") && earlier.system.join() !== view.system.join())
      out.push(found("I2", `The system prompt differs from request ${last.ordinal}.`));
    if (!history && kept < earlier.units.length)
      out.push(
        found(
          "I3",
          `Message ${kept} differs from request ${last.ordinal}: ${firstDifference(earlier.units, view.units)}`,
        ),
      );
    else if (!history && earlier.units.length === view.units.length && last.outcome === "complete")
      out.push(found("I3", `The request adds nothing to request ${last.ordinal}, which was answered.`));
    if (!history && !earlier.images.every((image, at) => view.images[at] === image))
      out.push(found("I6", "An image that was sent before is gone or was encoded anew."));
  }
  for (const [name, value] of Object.entries(earlier.settings))
    if (view.settings[name] !== value && !changed.has(name))
      out.push(found("I5", `${name} changed from ${value} to ${view.settings[name]}.`));
  return out;
}

function takeReturn(conversation: Conversation | undefined): boolean {
  const returns = conversation?.returns === true;
  if (conversation) conversation.returns = false;
  return returns;
}

/** What a request may go back to besides the newest one: those before each compaction. */
function takenBack(conversation: Conversation | undefined): readonly RecordedRequest[] {
  return conversation?.superseded.toReversed() ?? [];
}

/** Going back may take compactions back too: one of the requests before them must be the one that it goes back in. */
function checkRewinds(view: RequestView, candidates: readonly RecordedRequest[], rewind: string, tags: Tags): Found[] {
  const results = candidates.flatMap((last) => {
    const earlier = last.view;
    if (!earlier) return [];
    return [checkRewind(earlier, view, last, { kept: samePrefix(earlier, view), rewind, tags })];
  });
  return results.find((result) => result.length === 0) ?? results[0] ?? [];
}

/** What a test has announced holds for one request. */
function takeRewind(conversation: Conversation | undefined): string | undefined {
  const rewind = conversation?.rewindTo;
  if (conversation) conversation.rewindTo = undefined;
  return rewind;
}

/**
 * An announced return to right before a prompt: all messages before it as they were, one prompt in its place, no more; and
 * what does not belong to the history holds as ever.
 */
function checkRewind(
  earlier: RequestView,
  view: RequestView,
  last: RecordedRequest,
  { kept, rewind, tags }: { readonly kept: number; readonly rewind: string; readonly tags: Tags },
): Found[] {
  const at = earlier.turns.find((turn) => turn.role !== "assistant" && turn.text.includes(rewind))?.at;
  const rest = checkAgainst(earlier, view, last, kept, tags).filter(({ rule }) => rule !== "I3" && rule !== "I6");
  if (at === undefined) return [...rest, found("I3", `No earlier message holds the prompt ${JSON.stringify(rewind)}.`)];
  if (kept >= at && view.units.length === at + 1) return rest;
  const what = `${kept} messages are as before and ${view.units.length} there are`;
  return [...rest, found("I3", `After the return to message ${at}, ${what}, not ${at} and ${at + 1}.`)];
}

function firstDifference(before: readonly string[], after: readonly string[]): string {
  const at = before.findIndex((text, index) => after[index] !== text);
  const index = at < 0 ? before.length : at;
  const [old, now] = [before[index] ?? "(nothing)", after[index] ?? "(nothing)"];
  let same = 0;
  while (same < old.length && old[same] === now[same]) same += 1;
  const from = Math.max(0, same - 40);
  return `…${old.slice(from, same + 60)} → …${now.slice(from, same + 60)}`;
}

function checkEchoes(view: RequestView, memory: Memory, from: number): Found[] {
  return view.turns.flatMap((turn) => {
    if (turn.role !== "assistant" || turn.at < from) return [];
    const difference = recognise(view, turn, memory);
    return difference === undefined ? [] : [found("I4", `Message ${turn.at}: ${difference}`)];
  });
}

/** Results must follow their calls in call order, in one run of user messages (one message for Anthropic). */
function checkResultOrder(view: RequestView): Found[] {
  const out: Found[] = [];
  let calls: readonly string[] = [];
  let results: string[] = [];
  const compare = (at: number) => {
    const known = results.filter((id) => calls.includes(id));
    if (known.length > 1 && known.join() !== calls.filter((id) => known.includes(id)).join())
      out.push(found("I9", `The results before message ${at} are not in the order of their calls.`));
  };
  for (const turn of view.turns) {
    if (turn.role !== "assistant") {
      results.push(...turn.results.map((result) => result.id));
      continue;
    }
    compare(turn.at);
    calls = turn.calls.map((call) => call.id);
    results = [];
  }
  compare(view.units.length);
  return out;
}

function checkMarkers(
  json: JsonObject,
  view: RequestView,
  last: RecordedRequest | undefined,
  options: CheckOptions,
): Found[] {
  if (view.api !== "anthropic" || json.max_tokens === 0) return [];
  const blocks = anthropicBlocks(json);
  const tokens = blocks.reduce((sum, block) => sum + block.tokens, 0);
  if (tokens < (options.minimumPrefix ?? minimumPrefix(view.model))) return [];
  const out: Found[] = [];
  const system = blocks.filter((block) => block.kind === "system");
  if (system.length > 0 && !system.at(-1)?.marker) out.push(found("I8", "The last system block has no cache marker."));
  if (!blocks.at(-1)?.marker) out.push(found("I8", "The newest message has no cache marker at its end."));
  const tail = lastTail(last);
  const marks = blocks.flatMap((block, at) => (block.marker ? [at] : []));
  if (tail !== undefined && tail < blocks.length && !marks.some((at) => at >= tail && at - tail < 20))
    out.push(
      found("I8", `${blocks.length - 1 - tail} new blocks, and no marker within 20 of the end of the last request.`),
    );
  return out;
}

/** Index of the last block of the request before, where that was written to the cache. */
function lastTail(last: RecordedRequest | undefined): number | undefined {
  if (!last?.json || last.api !== "anthropic" || last.usage === undefined) return undefined;
  const blocks = anthropicBlocks(last.json);
  return blocks.at(-1)?.marker ? blocks.length - 1 : undefined;
}

/** A conversation may change over to another API, which has a key of its own or none. */
function checkKey(last: RequestView, view: RequestView): Found[] {
  if (view.api === "anthropic" || view.api !== last.api || view.cacheKey === last.cacheKey) return [];
  return [found("I14", `prompt_cache_key changed from ${String(last.cacheKey)} to ${String(view.cacheKey)}.`)];
}

/** A conversation that begins with another's history sends it verbatim, so that it reads that one's cache. */
function checkFork(conversation: Conversation, view: RequestView): Found[] {
  const parent = conversation.parent?.last?.view;
  if (!parent || parent.api !== view.api || parent.model !== view.model) return [];
  if (parent.tools.join() !== view.tools.join()) return [found("I11", "A fork has other tools than its parent.")];
  if (parent.system.join() !== view.system.join()) return [found("I11", "A fork has another system prompt.")];
  const kept = samePrefix(parent, view);
  if (kept >= Math.min(parent.units.length, view.units.length - 1)) return [];
  return [found("I11", `Message ${kept} of a fork differs: ${firstDifference(parent.units, view.units)}`)];
}

/** A second attempt with the same content has the same bytes. */
function checkRetry(last: RecordedRequest, record: RecordedRequest): Found[] {
  if (last.outcome === "complete" || last.api !== record.api || !last.json || !record.json) return [];
  if (last.body.equals(record.body) || canonical(last.json) !== canonical(record.json)) return [];
  return [found("I10", `The same request as request ${last.ordinal}, in other bytes.`)];
}
