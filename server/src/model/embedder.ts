/**
 * Turns a short text into a vector whose direction stands for what the text is about.
 *
 * Not here: any server's API (`openaiEmbeddings.ts`), or what nearness of vectors is good for: hints. Easily got wrong:
 * vectors of two embedders cannot be compared, so each names itself.
 */

/** Embeds texts. */
export interface Embedder {
  /** Names server and model. */
  readonly id: string;
  /** The vector of a text. Throws `ProviderError`, or an abort error. */
  embed(text: string, signal: AbortSignal): Promise<Float32Array>;
}

/** Cosine of the angle between two vectors, from -1 to 1; 0 when they have different lengths or one is null. */
export function cosine(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) return 0;
  let product = 0;
  let lengthA = 0;
  let lengthB = 0;
  for (let at = 0; at < a.length; at++) {
    const x = a[at] ?? 0;
    const y = b[at] ?? 0;
    product += x * y;
    lengthA += x * x;
    lengthB += y * y;
  }
  const length = Math.sqrt(lengthA) * Math.sqrt(lengthB);
  return length > 0 && Number.isFinite(length) ? product / length : 0;
}
