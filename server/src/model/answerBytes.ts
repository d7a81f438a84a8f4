/**
 * Checks the bytes of an answer as they pass: how many there are, how long a line is, that they are UTF-8.
 *
 * Not here: what the lines say. Easily got wrong: decoders replace a byte that is no UTF-8 by a mark without a word, and
 * the mark would end up in a file; so such an answer is broken, not repaired.
 */
import { brokenStream, type Endpoint } from "./failure.ts";

// The SDKs join a line's pieces anew with each that arrives, which takes long for lines that are longer.
const maxLineBytes = 16 * 1024 * 1024;
const newline = 0x0a;

/** The bytes of one answer. */
export class AnswerBytes {
  readonly #endpoint: Endpoint;
  readonly #limit: number;
  readonly #decoder = new TextDecoder("utf-8", { fatal: true });
  #bytes = 0;
  #line = 0;

  /** `limit` in bytes, for the whole answer. */
  constructor(endpoint: Endpoint, limit: number) {
    this.#endpoint = endpoint;
    this.#limit = limit;
  }

  /** How many have passed. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Takes the next ones. Throws `ProviderError` of kind `protocol` for an answer that must not be read on. */
  take(chunk: Uint8Array): void {
    this.#bytes += chunk.byteLength;
    if (this.#bytes > this.#limit) throw brokenStream(this.#endpoint, `it is longer than ${this.#limit} bytes`);
    const end = chunk.lastIndexOf(newline);
    this.#line = end < 0 ? this.#line + chunk.byteLength : chunk.byteLength - end - 1;
    if (this.#line > maxLineBytes)
      throw brokenStream(this.#endpoint, `one of its lines is longer than ${maxLineBytes} bytes`);
    try {
      this.#decoder.decode(chunk, { stream: true });
    } catch (error) {
      throw brokenStream(this.#endpoint, "it holds bytes that are no UTF-8", error);
    }
  }
}
