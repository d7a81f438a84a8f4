/**
 * A stored answer: what was asked of whom, what was answered, and what the answer rests on.
 *
 * Not here: keeping entries (`answerCache.ts`). Easily got wrong: an entry comes from a file that anything may have
 * damaged, so it is checked in full before a word of it is used.
 */
import * as z from "zod/mini";
import type { Json } from "../protocol/types.ts";

const digest = z.string().check(z.regex(/^[0-9a-f]{64}$/));

const evidenceSchema = z.object({
  name: z.string(),
  input: z.json(),
  result: digest,
  files: z.record(z.string(), digest),
});

const entrySchema = z.object({
  version: z.literal(1),
  key: digest,
  scope: digest,
  root: z.string(),
  model: z.string(),
  question: z.string(),
  answer: z.string().check(z.minLength(1)),
  answeredAt: z.number(),
  hits: z.number(),
  evidence: z.array(evidenceSchema),
  embedding: z.optional(z.object({ by: z.string(), base64: z.string() })),
});

/**
 * One call that the answer rests on: what it was asked, and digests (SHA-256, in hex) of the result that the model saw and
 * of the whole text of every file that it read, by URI.
 */
export interface CallEvidence {
  readonly name: string;
  readonly input: Json;
  readonly result: string;
  readonly files: { readonly [uri: string]: string };
}

/** An answer with its question. */
export interface CachedAnswer {
  readonly version: 1;
  /** Names the whole request. */
  readonly key: string;
  /** Names all of it but the words of the question. */
  readonly scope: string;
  /** Absolute path of the workspace folder. */
  readonly root: string;
  readonly model: string;
  readonly question: string;
  readonly answer: string;
  /** Milliseconds since the epoch. */
  readonly answeredAt: number;
  /** How often it was given again. */
  readonly hits: number;
  readonly evidence: readonly CallEvidence[];
  /** 32-bit floats, little-endian, and which embedder made them. */
  readonly embedding?: { readonly by: string; readonly base64: string } | undefined;
}

/** The entry in a stored value, or `undefined` when it is none. */
export function parseEntry(value: unknown): CachedAnswer | undefined {
  const parsed = entrySchema.safeParse(value);
  return parsed.success ? parsed.data : undefined;
}

/** A vector in its stored form. */
export function encodeVector(vector: Float32Array): string {
  return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString("base64");
}

/** A vector from its stored form. */
export function decodeVector(base64: string): Float32Array {
  const bytes = Uint8Array.from(Buffer.from(base64, "base64"));
  return new Float32Array(bytes.buffer, 0, Math.floor(bytes.length / 4));
}
