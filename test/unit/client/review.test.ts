/**
 * What is pending as the host tells it, the way through it, and what decisions ask of the host.
 *
 * Easily got wrong: the host is played by a function; nothing here compares texts, as nothing in the client does.
 */
import { describe, expect, test } from "vitest";
import { Review } from "../../../client/src/review.ts";
import type { ReviewParams, UndoResult } from "../../../server/src/protocol/methods.ts";
import type { PendingFile, PendingHunk } from "../../../server/src/protocol/review.ts";
import type { SessionId } from "../../../server/src/protocol/types.ts";
import * as say from "../../support/panelMessages.ts";

const { sessionId, turnId } = say;
const other = "s2" as SessionId;

function hunk(id: string, fromLine: number, lineCount = 1, before: readonly string[] = ["x"]): PendingHunk {
  return { id, fromLine, lineCount, before, turnIds: [turnId] };
}
function file(uri: string, ...hunks: readonly PendingHunk[]): PendingFile {
  return { uri, status: "modified", hunks, addedLines: 2, removedLines: 1, shadow: say.blob("b") };
}

function world(answer: (params: ReviewParams) => UndoResult = () => ({ files: [] })) {
  const asked: ReviewParams[] = [];
  const warned: string[] = [];
  let changes = 0;
  const review = new Review({
    agent: {
      request: async (type, params) => {
        expect(type.method).toBe("session/review");
        asked.push(params as never);
        return answer(params as never) as never;
      },
    },
    keyOf: (uri) => uri.toLowerCase(),
    onDidChange: () => changes++,
    warn: (message) => warned.push(message),
  });
  return { review, asked, warned, changes: () => changes };
}

const a = file("file:///A.ts", hunk("a1", 3, 2), hunk("a2", 10, 0), hunk("a3", 20));
const b = file("file:///b.ts", hunk("b1", 1));

describe("what is pending", () => {
  test("is what the host last said of each session", () => {
    const { review, changes } = world();
    review.take({ sessionId, files: [a, b] });
    review.take({ sessionId: other, files: [file("file:///a.ts", hunk("o1", 12))] });
    expect(review.count).toBe(5);
    expect(review.hunksAt("file:///a.ts").map((pending) => pending.hunk.id)).toEqual(["a1", "a2", "o1", "a3"]);
    review.take({ sessionId, files: [] });
    expect(review.sessions).toEqual([other]);
    expect(changes()).toBe(3);
    review.take({ sessionId, files: [] });
    expect(changes()).toBe(3);
  });

  test("is summed up by file", () => {
    const { review } = world();
    review.take({ sessionId, files: [a] });
    const { uri } = a;
    const counts = { hunks: 3, addedLines: 2, removedLines: 1 };
    expect(review.summaries()).toEqual([{ sessionId, uri, status: "modified", ...counts, turnIds: [turnId] }]);
  });

  test.each([
    [2, undefined],
    [3, "a1"],
    [4, "a1"],
    [5, undefined],
    [9, "a2"],
    [10, "a2"],
    [11, undefined],
    [20, "a3"],
  ])("is found at line %i: %s", (line, id) => {
    const { review } = world();
    review.take({ sessionId, files: [a, b] });
    expect(review.hunkAtLine("file:///a.ts", line)?.hunk.id).toBe(id);
  });
});

describe("the way through it", () => {
  test.each([
    [undefined, 1, "a1"],
    [undefined, -1, "b1"],
    [{ uri: "file:///a.ts", line: 1 }, 1, "a1"],
    [{ uri: "file:///a.ts", line: 3 }, 1, "a2"],
    [{ uri: "file:///a.ts", line: 20 }, 1, "b1"],
    [{ uri: "file:///b.ts", line: 1 }, 1, "a1"],
    [{ uri: "file:///a.ts", line: 3 }, -1, "b1"],
    [{ uri: "file:///b.ts", line: 1 }, -1, "a3"],
    [{ uri: "file:///unrelated.ts", line: 7 }, 1, "a1"],
  ] as const)("from %j by %i leads to %s", (from, step, id) => {
    const { review } = world();
    review.take({ sessionId, files: [a, b] });
    expect(review.neighbour(from, step)?.hunk.id).toBe(id);
  });

  test("goes around in a single file, and nowhere when nothing is pending", () => {
    const { review } = world();
    expect(review.neighbour(undefined, 1)).toBeUndefined();
    review.take({ sessionId, files: [a] });
    expect(review.neighbour({ uri: "file:///a.ts", line: 20 }, 1)?.hunk.id).toBe("a1");
    expect(review.neighbour({ uri: "file:///a.ts", line: 3 }, -1)?.hunk.id).toBe("a3");
  });
});

describe("decisions", () => {
  test("ask the host, by hunk, by file and for all sessions", async () => {
    const { review, asked } = world();
    review.take({ sessionId, files: [a, b] });
    review.take({ sessionId: other, files: [file("file:///a.ts", hunk("o1", 12))] });
    await review.decide("keep", { sessionId, uri: a.uri, hunkId: "a1" });
    await review.decideFile("undo", "file:///A.TS");
    await review.decideAll("keep");
    expect(asked).toEqual([
      { action: "keep", sessionId, uri: "file:///A.ts", hunkId: "a1" },
      { action: "undo", sessionId, uri: "file:///A.ts" },
      { action: "undo", sessionId: other, uri: "file:///a.ts" },
      { action: "keep", sessionId },
      { action: "keep", sessionId: other },
    ]);
  });

  test("on a hunk that is no longer there are forgotten without a word", async () => {
    const { review, warned, changes } = world(() => {
      throw Object.assign(new Error("The hunk has changed."), { data: { code: "stale_hunk" } });
    });
    review.take({ sessionId, files: [a] });
    await review.decide("undo", { sessionId, uri: a.uri, hunkId: "a1" });
    expect(warned).toEqual([]);
    expect(changes()).toBe(2);
  });

  test("that fail, or leave a file as it is, say so", async () => {
    const failing = world(() => {
      throw new Error("The agent host is not running.");
    });
    await failing.review.decide("keep", { sessionId });
    expect(failing.warned).toEqual(["The agent host is not running."]);
    const leaving = world(() => ({ files: [{ uri: "file:///src/a%20b.ts", outcome: "conflict" }] }));
    await leaving.review.decide("undo", { sessionId });
    expect(leaving.warned).toEqual([
      "a b.ts was left as it is, because it was changed since, or another file is in its place.",
    ]);
  });
});
