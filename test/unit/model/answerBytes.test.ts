/** Which answers must not be read on. */
import { expect, test } from "vitest";
import { AnswerBytes } from "../../../server/src/model/answerBytes.ts";

const endpoint = { vendor: "Anthropic", host: "model.test", model: "model", local: false };
const mebibyte = 1024 * 1024;
const encode = (text: string) => new TextEncoder().encode(text);

test("a character that comes in two pieces is one", () => {
  const answer = new AnswerBytes(endpoint, 100);
  const bytes = encode("data: 👋\n");
  for (const byte of bytes) answer.take(Uint8Array.of(byte));
  expect(answer.bytes).toBe(bytes.length);
});

test("bytes that are no UTF-8 break it", () => {
  const answer = new AnswerBytes(endpoint, 100);
  expect(() => answer.take(Uint8Array.of(0x61, 0xff))).toThrow(/no UTF-8/);
});

test("a line without end breaks it before it takes long to join; lines together may be longer", () => {
  const piece = new Uint8Array(mebibyte).fill(0x61);
  const endless = new AnswerBytes(endpoint, 64 * mebibyte);
  for (let count = 0; count < 16; count++) endless.take(piece);
  expect(() => endless.take(piece)).toThrow(/one of its lines is longer than/);
  const long = new AnswerBytes(endpoint, 64 * mebibyte);
  const line = encode(`${"a".repeat(mebibyte)}\n`);
  for (let count = 0; count < 20; count++) long.take(line);
  expect(long.bytes).toBe(20 * (mebibyte + 1));
});

test("an answer beyond the limit is broken", () => {
  expect(() => new AnswerBytes(endpoint, 3).take(encode("four"))).toThrow(/longer than 3 bytes/);
});
