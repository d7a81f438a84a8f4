/** Output of commands as plain text, whole and in pieces; and text that every vendor takes. */
import { expect, test } from "vitest";
import { createPlainStream, plainText } from "../../../server/src/text/terminal.ts";
import { wellFormed } from "../../../server/src/text/wellFormed.ts";

test.each([
  ["colours", "\x1b[1;31mred\x1b[0m and \x1b[38;5;120mgreen\x1b[39m\n", "red and green\n"],
  ["a link", "\x1b]8;;https://example.com\x07here\x1b]8;;\x07", "here"],
  ["control characters", "n\0u\x07l\b\t.\n", "nul\t.\n"],
  ["a progress bar", "10 %\r50 %\r100 %\ndone\n", "100 %\ndone\n"],
  ["a progress bar that ends its line with a return", "10 %\r100 %\r\ndone\r\n", "100 %\ndone\n"],
  ["a return at the very end", "10 %\r100 %\r", "100 %\r"],
  ["text of other alphabets", "日本語 😀 שלום\n", "日本語 😀 שלום\n"],
])("%s", (_, output, plain) => {
  expect(plainText(output)).toBe(plain);
});

test("a sequence that is cut anywhere leaves nothing behind", () => {
  const output = "one \x1b[1;31mred\x1b[0m two\n";
  for (let at = 0; at <= output.length; at++) {
    const toPlain = createPlainStream();
    expect(toPlain(output.slice(0, at)) + toPlain(output.slice(at))).toBe("one red two\n");
  }
});

test("a lone escape holds back no more than itself", () => {
  const toPlain = createPlainStream();
  expect(toPlain("a\x1b")).toBe("a");
  expect(toPlain(`b${"c".repeat(1000)}`)).toContain("c".repeat(1000));
});

test("halves of surrogate pairs are replaced wherever they are; what has none is the same value", () => {
  const good = { a: ["😀", { b: "x", c: null, d: 1 }] };
  expect(wellFormed(good)).toBe(good);
  expect(wellFormed({ a: ["\ud83d", { "k\ude00": "x\ud83dy", n: [1, true, null] }] })).toEqual({
    a: ["�", { "k�": "x�y", n: [1, true, null] }],
  });
});
