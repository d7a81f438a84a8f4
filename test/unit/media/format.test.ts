/**
 * Numbers, times and paths as people read them, as tables.
 */
import { expect, test } from "vitest";
import { ago, relativePath, splitPath } from "../../../media/format.ts";
import { changedFiles } from "../../../media/turnState.ts";
import type { FileChange } from "../../../server/src/protocol/types.ts";
import { aboutTokens, count, dollars, duration, percent } from "../../../server/src/report/numbers.ts";
import { blob } from "../../support/panelMessages.ts";

test.each([
  [40, "40 ms"],
  [1234, "1.2 s"],
  [59_400, "59 s"],
  [200_000, "3 min 20 s"],
])("%d ms is %s", (ms, expected) => expect(duration(ms)).toBe(expected));

test.each([
  [0, "0"],
  [999, "999"],
  [12_345, "12.3k"],
  [1_200_000, "1.2M"],
])("%d is %s", (value, expected) => expect(count(value)).toBe(expected));

test("tokens are said to be about as many as the bytes make", () => {
  expect(aboutTokens(400, 4)).toBe("≈ 100 tokens");
  expect(aboutTokens(4_801, 4)).toBe("≈ 1.2k tokens");
});

test.each([
  [0.00123, "$0.0012"],
  [1.5, "$1.50"],
])("%d dollars are %s", (value, expected) => expect(dollars(value)).toBe(expected));

test.each([
  [0, "0 %"],
  [0.001, "< 1 %"],
  [0.615, "62 %"],
])("%d is %s", (share, expected) => expect(percent(share)).toBe(expected));

test.each([
  [30_000, "just now"],
  [5 * 60_000, "5 min ago"],
  [3 * 3_600_000, "3 h ago"],
])("%d ms earlier is %s", (ms, expected) => expect(ago(1e12 - ms, 1e12)).toBe(expected));

test.each([
  ["file:///home/ada/p/src/a.ts", "file:///home/ada/p", "src/a.ts"],
  ["file:///c%3A/p/src/a%20b.ts", "file:///c%3A/p", "src/a b.ts"],
  ["file:///home/ada/other.ts", "file:///home/ada/p", "/home/ada/other.ts"],
  ["file:///home/ada/p2/a.ts", "file:///home/ada/p", "/home/ada/p2/a.ts"],
  ["file:///a/%zz", undefined, "/a/%zz"],
])("%s below %s is %s", (uri, root, expected) => expect(relativePath(uri, root)).toBe(expected));

test("a path has a folder and a name", () => {
  expect(splitPath("src/base/a.ts")).toEqual({ folder: "src/base/", name: "a.ts" });
  expect(splitPath("a.ts")).toEqual({ folder: "", name: "a.ts" });
});

test("changes of one file are one: first before, last after; what ended as it began is left out", () => {
  const change = (uri: string, before: string, after: string): FileChange => ({
    uri,
    before: blob(before),
    after: blob(after),
    addedLines: 2,
    removedLines: 1,
  });
  const changes = [change("a", "1", "2"), change("b", "x", "y"), change("a", "2", "3"), change("b", "y", "x")];
  expect(changedFiles(changes)).toEqual([{ ...change("a", "1", "3"), addedLines: 4, removedLines: 2 }]);
});

test("a moved file is one entry under its new name, with its edits; one that came back is none", () => {
  const change = (uri: string, before: string | null, after: string, movedFrom?: string): FileChange => ({
    uri,
    ...(movedFrom === undefined ? {} : { movedFrom }),
    before: before === null ? null : blob(before),
    after: blob(after),
    addedLines: 1,
    removedLines: 0,
  });
  const changes = [
    change("a", "1", "2"),
    change("b", "2", "2", "a"),
    change("b", "2", "3"),
    change("c", "3", "3", "b"),
    change("x", "5", "5", "y"),
    change("y", "5", "5", "x"),
    change("made", null, "7"),
    change("placed", "7", "7", "made"),
  ];
  expect(changedFiles(changes)).toEqual([
    { ...change("c", "1", "3", "a"), addedLines: 4 },
    { ...change("placed", null, "7"), addedLines: 2 },
  ]);
});
