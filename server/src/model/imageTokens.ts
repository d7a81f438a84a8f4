/**
 * What a picture costs in tokens, from its width and height, which are read from the first bytes of the file.
 *
 * Not here: text (`tokens.ts`). Easily got wrong: the bytes of a picture say nothing about its tokens; vendors charge by
 * its size on screen, after they have made it smaller.
 */
import type { ImagePart } from "../protocol/types.ts";

/** Longest edge in pixels to which Anthropic scales a picture down (2026-11). */
const longestEdge = 1_568;
/** Pixels that make a token (Anthropic: width times height by 750; OpenAI's patches of 32 by 32 come out below that). */
const pixelsPerToken = 750;
/** The most that a picture costs once it is scaled down; also what one of unknown size is taken for. */
const mostTokens = 1_600;
/** Bytes of a picture that are looked at: a JPEG can have its size behind a long preview. */
const headBytes = 256 * 1024;

/** An estimate of the tokens of a picture: that of the dearer vendor. */
export function imageTokens({ mimeType, base64 }: ImagePart): number {
  const bytes = Buffer.from(base64.slice(0, Math.ceil((headBytes * 4) / 3)), "base64");
  const size = readers[mimeType](bytes);
  if (!size || size.width === 0 || size.height === 0) return mostTokens;
  const scale = Math.min(1, longestEdge / Math.max(size.width, size.height));
  return Math.min(mostTokens, Math.ceil((size.width * size.height * scale * scale) / pixelsPerToken));
}

interface PixelSize {
  readonly width: number;
  readonly height: number;
}

/** `undefined` where the bytes are not such a picture. */
const readers: { readonly [type in ImagePart["mimeType"]]: (bytes: Buffer) => PixelSize | undefined } = {
  "image/png": (bytes) =>
    bytes.length >= 24 && bytes.toString("latin1", 12, 16) === "IHDR"
      ? { width: bytes.readUInt32BE(16), height: bytes.readUInt32BE(20) }
      : undefined,
  "image/gif": (bytes) =>
    bytes.length >= 10 && bytes.toString("latin1", 0, 3) === "GIF"
      ? { width: bytes.readUInt16LE(6), height: bytes.readUInt16LE(8) }
      : undefined,
  "image/webp": readWebp,
  "image/jpeg": readJpeg,
};

function readWebp(bytes: Buffer): PixelSize | undefined {
  if (bytes.length < 30 || bytes.toString("latin1", 8, 12) !== "WEBP") return undefined;
  switch (bytes.toString("latin1", 12, 16)) {
    case "VP8 ":
      return { width: bytes.readUInt16LE(26) & 0x3fff, height: bytes.readUInt16LE(28) & 0x3fff };
    case "VP8L": {
      const bits = bytes.readUInt32LE(21);
      return { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 };
    }
    case "VP8X":
      return { width: bytes.readUIntLE(24, 3) + 1, height: bytes.readUIntLE(27, 3) + 1 };
    default:
      return undefined;
  }
}

/** Goes from segment to segment to the first that begins a frame (0xC0 to 0xCF, but for three that are something else). */
function readJpeg(bytes: Buffer): PixelSize | undefined {
  if (bytes.length < 4 || bytes.readUInt16BE(0) !== 0xffd8) return undefined;
  for (let at = 2; at + 9 <= bytes.length; at += 2 + bytes.readUInt16BE(at + 2)) {
    const marker = bytes[at + 1] ?? 0;
    if (bytes[at] !== 0xff) return undefined;
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker))
      return { width: bytes.readUInt16BE(at + 7), height: bytes.readUInt16BE(at + 5) };
  }
  return undefined;
}
