/**
 * Checks rows for the table of models that come from outside: users' settings.
 *
 * Not here: the table (`catalog.ts`), which does not need the schema library at start-up; load this file only when there
 * is something to check. Easily got wrong: one bad row must not take the good ones with it.
 */
import { z } from "zod";
import type { ModelSpec } from "../protocol/types.ts";

const tokens = z.int().positive().max(100_000_000);
const dollars = z.number().nonnegative();

const spec = z.strictObject({
  id: z.string().regex(/^[^/\s]+\/\S+$/, "must be provider/model"),
  label: z.string().min(1),
  api: z.enum(["anthropic-messages", "openai-responses", "openai-chat", "recorded"]),
  wireId: z.string().min(1),
  contextTokens: tokens,
  maxOutputTokens: tokens,
  images: z.boolean(),
  thinking: z.enum(["none", "adaptive", "effort"]),
  compacts: z.boolean().exactOptional(),
  price: z
    .strictObject({
      input: dollars,
      output: dollars,
      cacheWrite: dollars,
      cacheRead: dollars,
      cliff: z.strictObject({ aboveTokens: tokens, inputTimes: dollars, outputTimes: dollars }).exactOptional(),
    })
    .exactOptional(),
  quality: z.int().min(1).max(5).exactOptional(),
  baseUrl: z.url({ protocol: /^https?$/ }).exactOptional(),
  local: z.boolean().exactOptional(),
  cacheOptions: z.boolean().exactOptional(),
});

/** The rows that are right, and a sentence for each that is not. */
export interface ParsedModels {
  readonly models: readonly ModelSpec[];
  readonly problems: readonly string[];
}

/** Reads a list of model specs. Never throws. */
export function parseModels(given: unknown): ParsedModels {
  if (!Array.isArray(given)) return { models: [], problems: ["The list of models is not a list."] };
  const parsed = given.map((row: unknown) => spec.safeParse(row));
  return {
    models: parsed.flatMap((result) => (result.success ? [result.data] : [])),
    problems: parsed.flatMap((result, index) =>
      result.success ? [] : [`Model ${index + 1} is left out: ${z.prettifyError(result.error).replace(/\s+/g, " ")}`],
    ),
  };
}
