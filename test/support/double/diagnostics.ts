/**
 * The vendors' own explanation of a cache miss: which part of a request differs from the one it is compared with.
 *
 * Not here: the cache (`prefixCache.ts`). Easily got wrong: `null` is a good answer; it means nothing differs.
 */
import type { Json } from "../../../server/src/protocol/types.ts";
import type { RecordedRequest } from "./journal.ts";
import { asText, isObject, tokensOf } from "./json.ts";
import type { Memory } from "./memory.ts";
import type { RequestView } from "./read.ts";

/** The value of `diagnostics` (Messages) or `prompt_cache_diagnostics` (Responses); `null` when none was asked for. */
export function diagnose(request: RecordedRequest, memory: Memory): Json {
  const { json, view, api } = request;
  if (!json || !view) return null;
  if (api === "anthropic") {
    const asked = json.diagnostics;
    if (!isObject(asked)) return null;
    const previous = asText(asked.previous_message_id);
    if (previous === "") return { cache_miss_reason: null };
    const earlier = memory.answer(previous)?.request.view;
    if (!earlier) return { cache_miss_reason: { type: "previous_message_not_found" } };
    const miss = firstDifference(earlier, view);
    if (!miss) return { cache_miss_reason: null };
    const type = {
      model: "model_changed",
      tools: "tools_changed",
      system: "system_changed",
      input: "messages_changed",
    }[miss.part];
    return { cache_miss_reason: { type, cache_missed_input_tokens: miss.tokens } };
  }
  const options = json.prompt_cache_options;
  const compared = isObject(options) ? asText(options.comparison_response_id) : "";
  if (compared === "") return null;
  const earlier = memory.answer(compared)?.request.view;
  if (!earlier) return { type: "comparison_response_not_found" };
  const miss = firstDifference(earlier, view);
  if (!miss) return { type: "cache_hit" };
  const reason = { model: "model_changed", tools: "tools_changed", system: "input_changed", input: "input_changed" }[
    miss.part
  ];
  return { type: "cache_miss", reason, cache_missed_tokens: miss.tokens };
}

function firstDifference(earlier: RequestView, view: RequestView) {
  const all = tokensOf([...view.tools, ...view.system, ...view.units].join(""));
  if (earlier.model !== view.model) return { part: "model", tokens: all } as const;
  if (earlier.tools.join() !== view.tools.join()) return { part: "tools", tokens: all } as const;
  if (earlier.system.join() !== view.system.join()) return { part: "system", tokens: all } as const;
  const at = earlier.units.findIndex((unit, index) => view.units[index] !== unit);
  return at < 0 ? undefined : ({ part: "input", tokens: tokensOf(view.units.slice(at).join("")) } as const);
}
