/**
 * Names a request by everything in it that could change the answer: the key of the response caches.
 *
 * Not here: the vendors' prompt caches (`model/promptCache.ts`), which hold prompts and never answers. Easily got wrong:
 * what is left out of the key answers one question with another's answer; what is volatile in it (ids, prices) never hits.
 */
import { createHash } from "node:crypto";
import type { ModelRequest } from "../model/provider.ts";
import type { Json, PromptPart } from "../protocol/types.ts";

/** A request by name. */
export interface RequestIdentity {
  /** SHA-256, in hex, of the whole request. */
  readonly key: string;
  /** The same for the request without the words of the question: references, system prompt, tools, model, folder. */
  readonly scope: string;
  /** The words of the prompt. */
  readonly question: string;
  /** The words do not stand for pictures, so that no other words may. */
  readonly hasPictures: boolean;
}

/** What a request does not say about who answers it and where. */
export interface Surroundings {
  /** Absolute path of the workspace folder: an answer is never given in another one. */
  readonly root: string;
  /** What the settings say about servers and wire formats. */
  readonly servers: Json;
}

/** Names the first request of a session; `undefined` for later ones, whose answers rest on the conversation. */
export function identify(
  request: ModelRequest,
  prompt: readonly PromptPart[],
  surroundings: Surroundings,
): RequestIdentity | undefined {
  const [first, ...later] = request.messages;
  if (first?.role !== "user" || later.length > 0) return undefined;
  const { model } = request;
  const common = {
    version: 1,
    root: surroundings.root,
    servers: surroundings.servers,
    model: [model.id, model.api, model.wireId, model.baseUrl ?? "", model.thinking],
    maxOutputTokens: request.maxOutputTokens,
    system: request.system,
    tools: request.tools,
  };
  // The parts after the prompt's own are the facts of the moment, such as the date.
  const facts = first.parts.slice(prompt.length);
  const others = prompt.filter(({ type }) => type !== "text");
  return {
    key: digestOf(canonicalJson({ ...common, messages: request.messages })),
    scope: digestOf(canonicalJson({ ...common, facts, others })),
    question: prompt.flatMap((part) => (part.type === "text" ? [part.text] : [])).join("\n\n"),
    hasPictures: prompt.some(({ type }) => type === "image"),
  };
}

/** SHA-256 of a text, in hex. */
export function digestOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** JSON with the keys of every object in order: equal values give equal bytes. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === "object" && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
