/**
 * Estimates how many tokens a prompt has, from its bytes and from what the vendor has counted of earlier prompts.
 *
 * Not here: the upper bound that money rests on (`budget.ts`). Easily got wrong: an estimate is not a bound. Who decides
 * something by it says how it may be wrong: `atLeast` is for accusing a server of having cut a prompt.
 */
import { assertNever } from "../base/errors.ts";
import type { AssistantBlock, ModelApi, ModelSpec, PromptPart, ToolSpec, Usage } from "../protocol/types.ts";
import { imageTokens } from "./imageTokens.ts";
import type { ModelMessage, ModelRequest } from "./provider.ts";

/**
 * Bytes that make a token before anything is learned. TypeScript has 3.96 to 4.79, in the middle 4.20 (o200k, measured
 * 2026-11); Anthropic's newer tokenizers make 1.0 to 1.35 times as many tokens of the same text.
 */
const startBytesPerToken: { readonly [api in ModelApi]: number } = {
  "anthropic-messages": 3.5,
  "openai-responses": 4,
  "openai-chat": 4,
  recorded: 4,
};
/** No text of a conversation has been seen with more bytes to a token than this. */
const mostBytesPerToken = 8;
const leastBytesPerToken = 1;
/** How much the newest prompt counts against all before it. */
const newestWeight = 0.3;
/** Bytes that the wire format adds to each part (role, type, quotes), as far as tokenizers see them. */
const framingBytes = 16;
/** Shorter prompts teach nothing: what vendors add to every prompt outweighs them. */
const leastBytesToLearn = 2_000;

/** What a request is made of, besides its system prompt. */
type Measured = ModelMessage | PromptPart | ToolSpec;

/** What is known of it without its model. */
interface Size {
  readonly bytes: number;
  readonly imageTokens: number;
  /** Of `bytes`, those of thinking, which some chat templates leave out of later prompts. */
  readonly thinkingBytes: number;
}

/** Names a list by its last item, together with this: lists only grow, and one that was made shorter begins otherwise. */
interface ListEnd {
  readonly first: object | undefined;
  readonly length: number;
}

/** What a list has in all, by its last item. */
interface Sum extends ListEnd {
  readonly size: Size;
}

/** What the vendor has counted, by the last message of the prompt that it counted. */
interface Counted extends ListEnd {
  readonly model: string;
  readonly promptTokens: number;
  readonly outputTokens: number;
}

/** The tokens of a prompt. */
export interface PromptTokens {
  /** The best guess. */
  readonly tokens: number;
  /** Any model that is given the whole prompt counts at least so many. */
  readonly atLeast: number;
}

/** Estimates for all models of a host; it learns from what their vendors report. */
export class TokenCounts {
  readonly #sizes = new WeakMap<object, Size>();
  readonly #sums = new WeakMap<object, Sum>();
  readonly #counted = new WeakMap<object, Counted>();
  readonly #learned = new Map<string, number>();

  /** Bytes of text that make a token for a model, as far as is known. */
  bytesPerToken({ id, api }: Pick<ModelSpec, "id" | "api">): number {
    return this.#learned.get(id) ?? startBytesPerToken[api];
  }

  /** Tokens of messages, of parts of them or of tools; what was measured once is not looked at again. */
  of(model: ModelSpec, items: readonly Measured[]): number {
    const { bytes, imageTokens: images } = this.#sum(items);
    return Math.ceil(bytes / this.bytesPerToken(model)) + images;
  }

  /** Tokens of a text. */
  ofText(model: ModelSpec, text: string): number {
    return Math.ceil(Buffer.byteLength(text) / this.bytesPerToken(model));
  }

  /** Tokens of a whole prompt: what the vendor has counted of it before, and an estimate of what came after that. */
  ofPrompt({ model, system, tools, messages }: ModelRequest): PromptTokens {
    const whole = plus(this.#sum(tools), this.#sum(messages));
    const fewest = (bytes: number) => Math.floor(bytes / mostBytesPerToken);
    const atLeast = fewest(whole.bytes - whole.thinkingBytes + Buffer.byteLength(system));
    const { at, counted } = this.#lastCounted(model, messages);
    if (!counted) {
      return { tokens: this.ofText(model, system) + this.of(model, tools) + this.of(model, messages), atLeast };
    }
    // The answer that was counted may have had more tokens than are shown of it.
    const [answer, ...rest] = messages.slice(at + 1);
    const answerTokens = answer ? Math.max(counted.outputTokens, this.of(model, [answer])) : 0;
    const since = this.#sum(messages.slice(at + 1));
    return {
      tokens: counted.promptTokens + answerTokens + this.of(model, rest),
      // Nothing of the prompt has gone since it was counted, unless a template has taken thinking out.
      atLeast: whole.thinkingBytes > 0 ? atLeast : Math.max(atLeast, counted.promptTokens + fewest(since.bytes)),
    };
  }

  /** Takes note of what the vendor has counted of a prompt that it was given whole. */
  learn(request: ModelRequest, usage: Usage): void {
    const { model, system, tools, messages } = request;
    const promptTokens = promptTokensOf(usage);
    const last = messages.at(-1);
    if (!last || promptTokens === 0) return;
    const { outputTokens } = usage;
    this.#counted.set(last, { ...endOf(messages), model: model.id, promptTokens, outputTokens });
    const { bytes, imageTokens: images } = plus(this.#sum(tools), this.#sum(messages));
    const whole = bytes + Buffer.byteLength(system);
    if (whole < leastBytesToLearn || promptTokens <= images) return;
    const seen = Math.min(mostBytesPerToken, Math.max(leastBytesPerToken, whole / (promptTokens - images)));
    const before = this.#learned.get(model.id) ?? seen;
    this.#learned.set(model.id, before + newestWeight * (seen - before));
  }

  #lastCounted(model: ModelSpec, messages: readonly ModelMessage[]): { readonly at: number; counted?: Counted } {
    for (let at = messages.length - 1; at >= 0; at--) {
      const message = messages[at];
      const counted = message && this.#counted.get(message);
      if (counted?.model === model.id && isEndOf(counted, messages, at)) return { at, counted };
    }
    return { at: -1 };
  }

  /** A list costs what has been appended to it since it was last summed up. */
  #sum(items: readonly Measured[]): Size {
    let size = nothing;
    for (let at = items.length - 1; at >= 0; at--) {
      const item = items[at];
      const sum = item && this.#sums.get(item);
      if (sum && isEndOf(sum, items, at)) {
        size = plus(size, sum.size);
        break;
      }
      if (item) size = plus(size, this.#sizeOf(item));
    }
    const last = items.at(-1);
    if (last) this.#sums.set(last, { ...endOf(items), size });
    return size;
  }

  #sizeOf(item: Measured): Size {
    const known = this.#sizes.get(item);
    if (known) return known;
    const size = measure(item);
    this.#sizes.set(item, size);
    return size;
  }
}

/** Tokens of the prompt in a usage. */
export function promptTokensOf({ inputTokens, cacheReadTokens, cacheWriteTokens }: Usage): number {
  return inputTokens + cacheReadTokens + cacheWriteTokens;
}

function measure(item: Measured): Size {
  if ("inputSchema" in item) return textSize(JSON.stringify(item));
  if (!("role" in item)) return partSize(item);
  switch (item.role) {
    case "user":
      return total(item.parts.map(partSize));
    case "tool":
      return total(item.results.map(({ text }) => textSize(text)));
    case "assistant":
      return total(item.blocks.map(blockSize));
    default:
      return assertNever(item);
  }
}

function partSize(part: PromptPart): Size {
  if (part.type !== "image") return textSize(part.text);
  return { bytes: framingBytes, imageTokens: imageTokens(part), thinkingBytes: 0 };
}

function blockSize({ part, wire }: AssistantBlock): Size {
  switch (part.type) {
    case "text":
      return textSize(part.text);
    case "thinking": {
      const size = textSize(part.text);
      return { ...size, thinkingBytes: size.bytes };
    }
    case "tool_call":
      return textSize(part.name + (part.malformed ?? JSON.stringify(part.input)));
    case "opaque":
      return textSize(JSON.stringify(wire ?? null));
    default:
      return assertNever(part);
  }
}

function textSize(text: string): Size {
  return { bytes: Buffer.byteLength(text) + framingBytes, imageTokens: 0, thinkingBytes: 0 };
}

const nothing: Size = { bytes: 0, imageTokens: 0, thinkingBytes: 0 };

function plus(a: Size, b: Size): Size {
  return {
    bytes: a.bytes + b.bytes,
    imageTokens: a.imageTokens + b.imageTokens,
    thinkingBytes: a.thinkingBytes + b.thinkingBytes,
  };
}

function total(sizes: readonly Size[]): Size {
  return sizes.reduce(plus, nothing);
}

function endOf(items: readonly object[]): ListEnd {
  return { first: items[0], length: items.length };
}

function isEndOf(end: ListEnd, items: readonly object[], at: number): boolean {
  return end.length === at + 1 && end.first === items[0];
}
