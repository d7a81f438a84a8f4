/**
 * The conflict rule, by table, and by a property: it agrees with what the resources mean as sets of files.
 */
import { describe, expect, test } from "vitest";
import { below, conflicts } from "../../../server/src/tools/access.ts";
import type { Access } from "../../../server/src/tools/tool.ts";
import { seeded } from "../workspace/seeded.ts";

const read = (...reads: string[]): Access => ({ reads, writes: [] });
const write = (...writes: string[]): Access => ({ reads: [], writes });

const table: readonly (readonly [Access, Access, boolean])[] = [
  [read("file:///a"), read("file:///a"), false],
  [read("*"), read("*"), false],
  [read("file:///a"), write("file:///a"), true],
  [write("file:///a"), write("file:///a"), true],
  [write("file:///a"), write("file:///b"), false],
  [write("file:///a"), read("file:///b"), false],
  [write("*"), read("file:///a"), true],
  [write("*"), read(), false],
  [read("*"), write("file:///a"), true],
  [read("file:///src/**"), write("file:///src/a.ts"), true],
  [read("file:///src/**"), write("file:///src"), true],
  [read("file:///src/**"), write("file:///src2/a.ts"), false],
  [read("file:///src/**"), write("file:///src/deep/**"), true],
  [read("file:///src/deep/**"), write("file:///src/**"), true],
  [read("file:///src/**"), write("file:///test/**"), false],
  [read("file:///**"), write("file:///anything/at/all"), true],
  [read("**"), write("file:///a"), true],
];

describe("conflicts", () => {
  test.each(table)("%j and %j: %s", (a, b, expected) => {
    expect([conflicts(a, b), conflicts(b, a)]).toEqual([expected, expected]);
  });

  test("agrees with the sets of files that resources stand for", () => {
    const files = ["/a", "/a/b", "/a/b/c", "/ab", "/b", "/b/a"].map((path) => `file://${path}`);
    const resources = ["*", ...files, ...files.map(below)] as const;
    const members = (resource: string) =>
      new Set(files.filter((file) => resource === "*" || file === resource || isBelow(file, resource)));
    const share = (these: readonly string[], those: readonly string[]) =>
      these.some((one) => those.some((other) => !members(one).isDisjointFrom(members(other))));
    const random = seeded(7);
    const some = () => Array.from({ length: random.below(3) }, () => random.pick(resources));
    for (let round = 0; round < 5_000; round++) {
      const a: Access = { reads: some(), writes: some() };
      const b: Access = { reads: some(), writes: some() };
      const expected = share(a.writes, b.reads) || share(a.reads, b.writes) || share(a.writes, b.writes);
      expect({ a, b, conflict: conflicts(a, b) }).toEqual({ a, b, conflict: expected });
    }
  });
});

function isBelow(file: string, resource: string): boolean {
  if (!resource.endsWith("/**")) return false;
  const folder = resource.slice(0, -3);
  return file === folder || file.startsWith(`${folder}/`);
}

test("below makes a folder's resource whether or not its URI ends in a slash", () => {
  expect([below("file:///a"), below("file:///a/")]).toEqual(["file:///a/**", "file:///a/**"]);
});
