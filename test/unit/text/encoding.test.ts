/** Decoding that gives the same bytes back or refuses, in every encoding of the editor's setting. */
import { describe, expect, test } from "vitest";
import { decodeText, encodeText, encodingByMark, isAscii, isPlainAscii } from "../../../server/src/text/encoding.ts";
import { seeded } from "../workspace/seeded.ts";

/** The names of VS Code's setting `files.encoding` (1.139). */
const encodings =
  "utf8 utf8bom utf16le utf16be windows1252 iso88591 iso88593 iso885915 macroman cp437 windows1256 iso88596 windows1257 iso88594 iso885914 windows1250 iso88592 cp852 windows1251 cp866 cp1125 iso88595 koi8r koi8u iso885913 windows1253 iso88597 windows1255 iso88598 iso885910 iso885916 windows1254 iso88599 windows1258 gbk gb18030 cp950 big5hkscs shiftjis eucjp euckr windows874 iso885911 koi8ru koi8t gb2312 cp865 cp850".split(
    " ",
  );

test.each(encodings)("%s: random bytes round-trip or are refused, and so do random texts", async (encoding) => {
  const { below, pick } = seeded(encoding.length * 7919 + encoding.charCodeAt(0));
  for (let round = 0; round < 60; round++) {
    const bytes = Uint8Array.from({ length: below(40) }, () => below(256));
    const text = await decodeText(bytes, encoding);
    if (text !== undefined) {
      expect(await encodeText(text, encoding)).toEqual({ ok: true, bytes: Buffer.from(bytes) });
      expect(await decodeText(bytes, encoding)).toBe(text);
    }
    const given = Array.from({ length: below(12) }, () =>
      pick(["a", "\n", "é", "я", "語", "€", "😀", "ß", "\r\n"]),
    ).join("");
    const encoded = await encodeText(given, encoding);
    if (encoded.ok) expect(await decodeText(encoded.bytes, encoding)).toBe(given);
    else for (const character of encoded.missing) expect(given).toContain(character);
  }
  const ascii = "plain text\twith\r\nall of ~ {it}\n";
  const encoded = await encodeText(ascii, encoding);
  expect(encoded.ok && (await decodeText(encoded.bytes, encoding))).toBe(ascii);
});

describe("what is asked before", () => {
  test("a mark tells its encoding", () => {
    expect(encodingByMark(Uint8Array.of(0xff, 0xfe, 0x41, 0))).toBe("utf16le");
    expect(encodingByMark(Uint8Array.of(0xfe, 0xff, 0, 0x41))).toBe("utf16be");
    expect(encodingByMark(Uint8Array.of(0xef, 0xbb, 0xbf))).toBe("utf8");
    expect(encodingByMark(Uint8Array.of(0x41))).toBeUndefined();
  });

  test("plain ASCII is the same in all encodings; an escape is not plain", () => {
    const bytes = new TextEncoder().encode("a\n~");
    expect([isPlainAscii(bytes), isPlainAscii(Uint8Array.of(0x1b)), isPlainAscii(Uint8Array.of(0x80))]).toEqual([
      true,
      false,
      false,
    ]);
    expect([isAscii("a\n~"), isAscii("\u001b"), isAscii("é")]).toEqual([true, false, false]);
  });

  test("an unknown encoding gives nothing and takes nothing; halves of surrogate pairs are not text", async () => {
    expect(await decodeText(Uint8Array.of(0x41), "klingon")).toBeUndefined();
    expect(await encodeText("a", "klingon")).toEqual({ ok: false, missing: [] });
    expect(await decodeText(Uint8Array.of(0x00, 0xd8), "utf16le")).toBeUndefined();
    expect(await encodeText("\ud800", "utf16le")).toEqual({ ok: false, missing: ["half of a surrogate pair"] });
    expect(await encodeText("語 and 字", "windows1252")).toEqual({ ok: false, missing: ["語", "字"] });
  });
});
