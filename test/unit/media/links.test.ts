/**
 * Which links in an answer lead to a file, and which lead nowhere.
 */
import { expect, test } from "vitest";
import { toFileLink } from "../../../media/markdown.ts";

test.each([
  ["src/parse.ts", { path: "src/parse.ts" }],
  ["src/parse.ts:10", { path: "src/parse.ts", line: 10 }],
  ["parse.ts:10:5", { path: "parse.ts", line: 10 }],
  ["src/parse.ts#L10", { path: "src/parse.ts", line: 10 }],
  ["src/parse.ts#L10-L20", { path: "src/parse.ts", line: 10 }],
  ["src/a%20b.ts", { path: "src/a b.ts" }],
  ["/home/ada/a.ts", { path: "/home/ada/a.ts" }],
  ["file:///home/ada/a.ts#L3", { path: "file:///home/ada/a.ts", line: 3 }],
  ["javascript:alert(1)", undefined],
  ["JaVaScRiPt:alert(1)", undefined],
  ["data:text/html,x", undefined],
  ["vscode://file/etc/passwd", undefined],
  ["command:workbench.action.terminal.new", undefined],
  ["http://example.com", undefined],
  ["//example.com/share", undefined],
  ["\\\\example.com\\share", undefined],
  ["file://example.com/share", undefined],
  ["#top", undefined],
  ["", undefined],
])("%j", (url, expected) => expect(toFileLink(url)).toEqual(expected));
