/**
 * Reading JSON whose shape is not known: the double takes request bodies from clients that may be wrong.
 *
 * Not here: what a field means. Easily got wrong: a missing or mistyped field reads as empty, so whoever must refuse
 * nonsense looks at the field itself.
 */
import { createHash } from "node:crypto";
import type { Json } from "../../../server/src/protocol/types.ts";

/** A JSON object. */
export type JsonObject = { readonly [key: string]: Json };

/** True for a JSON object, false for lists, scalars and nothing. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Narrows a JSON value to a list; anything else is the empty list. */
export function asList(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? value : [];
}

/** The objects in a JSON list; anything else is the empty list. */
export function asObjects(value: Json | undefined): readonly JsonObject[] {
  return asList(value).filter(isObject);
}

/** Narrows a JSON value to text; anything else is the empty text. */
export function asText(value: Json | undefined): string {
  return typeof value === "string" ? value : "";
}

/** Parses JSON text; `undefined` when it is not JSON. */
export function parseJson(text: string): Json | undefined {
  try {
    const value: Json = JSON.parse(text);
    return value;
  } catch {
    return undefined;
  }
}

/** Serialises without the cache markers, which a client may move between requests without changing the prompt. */
export function strip(value: Json): string {
  return JSON.stringify(value, (key, inner) =>
    key === "cache_control" || key === "prompt_cache_breakpoint" ? undefined : inner,
  );
}

/** Serialises with sorted keys, so that equal values give equal text. */
export function canonical(value: Json): string {
  return JSON.stringify(value, (_key, inner: Json) =>
    isObject(inner) ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1))) : inner,
  );
}

/** SHA-256 of the parts in order, in hex. */
export function digest(...parts: readonly string[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part).update("\0");
  return hash.digest("hex");
}

/** The double's token estimate: one token for every four bytes, rounded up. */
export function tokensOf(text: string): number {
  return Math.ceil(Buffer.byteLength(text) / 4);
}
