/**
 * Text as bytes in any encoding that editors know: decoding that gives the same bytes back, or does not decode.
 *
 * Not here: reading files, and whose encoding is whose. Easily got wrong: a byte order mark stays in the text as its first
 * character, so that it is written again; and bytes that an encoding does not have become text that would be written
 * differently, so what does not round-trip is not text in that encoding.
 */

import { isAscii as isAsciiBytes } from "node:buffer";

/** Names as VS Code's setting `files.encoding` has them; `utf8` is what has no other name. */
export type Encoding = string;

/** What a file is taken for when nobody says otherwise. */
export const utf8: Encoding = "utf8";

/** What encoding gave: the bytes, or the characters that the encoding does not have, at most five. */
export type Encoded =
  | { readonly ok: true; readonly bytes: Uint8Array }
  | { readonly ok: false; readonly missing: readonly string[] };

/** The encoding that a byte order mark at the start tells, if there is one. */
export function encodingByMark(bytes: Uint8Array): Encoding | undefined {
  const [a, b, c] = bytes;
  if (a === 0xff && b === 0xfe) return "utf16le";
  if (a === 0xfe && b === 0xff) return "utf16be";
  return a === 0xef && b === 0xbb && c === 0xbf ? utf8 : undefined;
}

/** Whether bytes mean the same in every encoding that extends ASCII: nobody need be asked which one it is. */
export function isPlainAscii(bytes: Uint8Array): boolean {
  // An escape begins another set of characters in ISO-2022.
  return isAsciiBytes(bytes) && !bytes.includes(0x1b);
}

/** Whether a text is the same bytes in every encoding that extends ASCII. */
export function isAscii(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: an escape begins another set of characters in ISO-2022.
  return !/[\u001b\u0080-\uffff]/.test(text);
}

/** The text of the bytes, mark included; `undefined` when they are not text in that encoding or it is not known. */
export async function decodeText(bytes: Uint8Array, encoding: Encoding = utf8): Promise<string | undefined> {
  if (isUtf8(encoding)) return decodeUtf8(bytes);
  const codec = await loadCodec();
  if (!codec.encodingExists(encoding)) return undefined;
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = codec.decode(buffer, encoding, { stripBOM: false });
  if (!text.isWellFormed()) return undefined;
  return codec.encode(text, encoding, { addBOM: false }).equals(buffer) ? text : undefined;
}

/** The bytes of a text. A mark is written where the text begins with one. */
export async function encodeText(text: string, encoding: Encoding = utf8): Promise<Encoded> {
  if (!text.isWellFormed()) return { ok: false, missing: ["half of a surrogate pair"] };
  if (isUtf8(encoding)) return { ok: true, bytes: Buffer.from(text, "utf8") };
  const codec = await loadCodec();
  if (!codec.encodingExists(encoding)) return { ok: false, missing: [] };
  const bytes = codec.encode(text, encoding, { addBOM: false });
  // Mostly everything is there, and then one comparison says so.
  if (codec.decode(bytes, encoding, { stripBOM: false }) === text) return { ok: true, bytes };
  const missing = new Set<string>();
  for (const character of new Set(text)) {
    if (codec.decode(codec.encode(character, encoding), encoding) !== character) missing.add(character);
    if (missing.size === 5) break;
  }
  return { ok: false, missing: [...missing] };
}

/** The text as a new file in that encoding begins: with a byte order mark where the encoding is told by one. */
export function withMarkOf(encoding: Encoding, text: string): string {
  const isMarked = encoding === "utf8bom" || encoding.startsWith("utf16");
  return isMarked && !text.startsWith(mark) ? mark + text : text;
}

const mark = "\uFEFF";
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

function isUtf8(encoding: Encoding): boolean {
  return encoding === utf8 || encoding === "utf8bom";
}

/** Loaded when a file needs it: its tables are larger than the rest of the host. */
async function loadCodec() {
  return (await import("iconv-lite")).default;
}
