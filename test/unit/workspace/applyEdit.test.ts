/**
 * Writing by merge over a swap that loses races on purpose.
 */
import { describe, expect, it } from "vitest";
import { type MergedOutcome, swapMerged } from "../../../server/src/workspace/applyEdit.ts";
import type { FileText, SwapOutcome, Version } from "../../../server/src/workspace/workspace.ts";

const uri = "file:///w/a.txt";

function fileOf(text: string): FileText {
  return { uri, text, version: `v:${text}` as Version, source: "disk" };
}

/** A file that other writers change before each of our swaps, one text of `others` at a time. */
function contested(start: string | null, others: readonly (string | null)[]) {
  let current = start;
  const pending = [...others];
  const swap = async (_uri: string, before: FileText | null, text: string | null): Promise<SwapOutcome> => {
    const next = pending.shift();
    if (next !== undefined) current = next;
    const now = current === null ? null : fileOf(current);
    if ((now?.version ?? null) !== (before?.version ?? null)) return { applied: false, reason: "stale", current: now };
    current = text;
    return { applied: true, file: text === null ? null : fileOf(text) };
  };
  return { swap, text: () => current };
}

async function write(
  start: string | null,
  others: readonly (string | null)[],
  change: { base: string | null; text: string | null },
): Promise<{ outcome: MergedOutcome["outcome"]; text: string | null; merged: boolean }> {
  const file = contested(start, others);
  const base = change.base === null ? null : fileOf(change.base);
  const outcome = await swapMerged(file.swap, { uri, base, text: change.text });
  return { outcome: outcome.outcome, text: file.text(), merged: outcome.outcome === "applied" && outcome.merged };
}

describe("swapMerged", () => {
  it("writes over the base it knows", async () => {
    expect(await write("a\n", [], { base: "a\n", text: "b\n" })).toEqual({
      outcome: "applied",
      text: "b\n",
      merged: false,
    });
  });

  it("merges with what another writer did, twice if need be", async () => {
    const others = ["A\nb\nc\nd\ne\n", "A\nb\nC\nd\ne\n"];
    expect(await write("a\nb\nc\nd\ne\n", others, { base: "a\nb\nc\nd\ne\n", text: "a\nb\nc\nd\nE\n" })).toEqual({
      outcome: "applied",
      text: "A\nb\nC\nd\nE\n",
      merged: true,
    });
  });

  it("leaves the file alone when both changed the same line", async () => {
    expect(await write("theirs\n", [], { base: "a\n", text: "ours\n" })).toEqual({
      outcome: "conflict",
      text: "theirs\n",
      merged: false,
    });
  });

  it.each([
    ["deleted meanwhile", null, { base: "a\n", text: "b\n" }],
    ["created meanwhile", "theirs\n", { base: null, text: "ours\n" }],
    ["changed before a deletion", "theirs\n", { base: "a\n", text: null }],
  ])("reports a conflict when the file was %s", async (_name, start, change) => {
    expect(await write(start, [], change)).toEqual({ outcome: "conflict", text: start, merged: false });
  });

  it("is content when the other writer did the same", async () => {
    expect(await write("b\n", [], { base: "a\n", text: "b\n" })).toMatchObject({ outcome: "applied", text: "b\n" });
    expect(await write(null, [], { base: "a\n", text: null })).toMatchObject({ outcome: "applied", text: null });
  });

  it("gives up after three lost races", async () => {
    const others = ["1\na\nb\n", "2\na\nb\n", "3\na\nb\n", "4\na\nb\n"];
    expect(await write("a\nb\n", others, { base: "a\nb\n", text: "a\nB\n" })).toMatchObject({ outcome: "conflict" });
  });
});
