/**
 * Where the text to be replaced is, and the style that shows the new one.
 *
 * Easily got wrong: the text is a model's and ends up in VS Code's style sheet, so nothing in it may end the string there.
 */
import { describe, expect, test } from "vitest";
import { findLines, previewCss, previewLines } from "../../../client/src/previewText.ts";

describe("the lines to be replaced", () => {
  test.each([
    ["one line", "a\nb\nc\n", "b", { from: 1, to: 1 }],
    ["with its line break", "a\nb\nc\n", "b\n", { from: 1, to: 1 }],
    ["several lines, from the middle of one", "let a\nlet b\nend", "a\nlet b", { from: 0, to: 1 }],
    ["Windows line endings in the document", "a\r\nb\r\nc\r\n", "b\nc", { from: 1, to: 2 }],
    ["what is not there", "a\nb", "x", undefined],
    ["what is there twice", "a\na", "a", undefined],
    ["nothing", "a", "", undefined],
  ])("%s", (_, document, text, lines) => {
    expect(findLines(document, text)).toEqual(lines);
  });
});

describe("the growing text", () => {
  test("shows its newest lines and how many are above", () => {
    const text = Array.from({ length: 20 }, (_, index) => `line ${index}`).join("\n");
    expect(previewLines(text)).toHaveLength(17);
    expect(previewLines(text)[0]).toBe("⋯ 4 lines above");
    expect(previewLines(text).at(-1)).toBe("line 19");
    expect(previewLines("a\r\nb\n")).toEqual(["a", "b"]);
    expect(previewLines("")).toEqual([""]);
    expect(previewLines(`\t${"x".repeat(1000)}`)[0]).toHaveLength(160);
  });

  test.each([1, 2, 15, 16, 17, 18, 40])(
    "of %i lines counts every one, with a line break at the end or not",
    (count) => {
      const lines = Array.from({ length: count }, (_, index) => (index % 3 === 0 ? "" : `line ${index}`));
      lines[count - 1] = "the last";
      const hidden = count - 16;
      const note = hidden > 0 ? [`⋯ ${hidden} line${hidden === 1 ? "" : "s"} above`] : [];
      for (const end of ["\n", "\r\n"]) {
        for (const last of ["", end]) {
          expect(previewLines(lines.join(end) + last)).toEqual([...note, ...lines.slice(-16)]);
        }
      }
    },
  );

  test("cannot break out of its style", () => {
    const css = previewCss('x"; } body { display: none } /* \\ </style>\u0000\ud83d', true);
    const content = /content:"([^"]*)" !important$/.exec(css)?.[1];
    expect(content).toMatch(/^(?:[A-Za-z0-9]|\\[0-9a-f]{6})*$/);
    expect(content).toContain("x\\000022\\00003b\\000020");
    expect(content).not.toContain("\\000000");
  });

  test("keeps to lines", () => {
    expect(previewCss("a\nb", true)).toContain('content:"a\\00000ab"');
    expect(previewCss("a", true)).toContain("top:100%");
    expect(previewCss("a", false)).toContain("top:0");
  });
});
