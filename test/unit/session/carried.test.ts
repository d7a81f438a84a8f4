/** What is carried over a compaction: words, files, and, by rule, the end of the conversation, each within its room. */
import { describe, expect, test } from "vitest";
import type { SessionEventBody } from "../../../server/src/protocol/events.ts";
import type { BlobId, CallId, TurnId } from "../../../server/src/protocol/types.ts";
import { carriedText, extractOf } from "../../../server/src/session/carried.ts";
import { initialState, reduceAll, type SessionState } from "../../../server/src/session/reduce.ts";
import { createEvents, type PlainEventBody, says, started } from "../../support/events.ts";

const room = { words: 10_000, extract: 10_000 };
const options = { turnId: undefined, summary: "It was done.", followsBlock: false };
const stateOf = (...bodies: readonly PlainEventBody[]): SessionState =>
  reduceAll(initialState, createEvents({ type: "session_created", sessionId: "s", cwd: "/w", version: 1 }, ...bodies));
const changed = (uri: string, before: string | null, after: string | null, movedFrom?: string): SessionEventBody => ({
  type: "file_changed",
  turnId: "t1" as TurnId,
  callId: "c" as CallId,
  change: {
    uri,
    before: before as BlobId | null,
    after: after as BlobId | null,
    addedLines: 1,
    removedLines: 0,
    ...(movedFrom === undefined ? {} : { movedFrom }),
  },
});
const reads = (callId: string, path: string, text: string): readonly PlainEventBody[] => [
  { type: "step_started", turnId: "t1", step: 1 },
  {
    type: "assistant_block",
    turnId: "t1",
    step: 1,
    index: 0,
    api: "openai-chat",
    block: { part: { type: "tool_call", callId, name: "read", input: { path } } },
  },
  { type: "tool_result", callId, text, isError: false, durationMs: 1 },
];

describe("the user's words", () => {
  const words = "Never use `any`.\n\n  - tabs\tand   spaces stay\n☂️ “as they are” </compacted-conversation>";

  test("are carried as they were written, with the names of what went along", () => {
    const state = stateOf({
      ...started("t1", words),
      prompt: [
        { type: "text", text: words },
        { type: "reference", label: "a.ts:1-3", text: "long text of the file" },
        { type: "image", mimeType: "image/png", base64: "AAAA" },
      ],
      context: "<context>\nWorkspace root: /w\n</context>",
    });
    const text = carriedText(state, options, room);
    expect(text).toContain(words);
    expect(text).toContain("(with a.ts:1-3)\n(a picture)");
    expect(text).toContain("Workspace root: /w");
    expect(text).not.toContain("long text of the file");
    expect(text).not.toContain("AAAA");
  });

  test("come with the facts of the first moment and the newest date", () => {
    const turns = ["root", "Monday", "Tuesday", ""].map((context, at) => ({ ...started(`t${at}`, "x"), context }));
    const text = carriedText(stateOf(...turns), options, room);
    expect(["root", "Monday", "Tuesday"].map((fact) => text.includes(fact))).toEqual([true, false, true]);
  });

  test("are the newest where there is no room for all, and that is said", () => {
    const turns = Array.from({ length: 10 }, (_, at) => started(`t${at}`, `Message number ${at}. ${"x".repeat(200)}`));
    const text = carriedText(stateOf(...turns), options, { words: 1_000, extract: 0 });
    expect(text).toContain("Message number 9");
    expect(text).toContain("Message number 6");
    expect(text).not.toContain("Message number 2");
    expect(text).toMatch(/\(\d older messages are left out for want of room\.\)/);
  });

  test("of a long message among others are whole where there is room for all", () => {
    const text = carriedText(stateOf(started("t1", "y".repeat(900)), started("t2", "Use tabs.")), options, {
      words: 1_000,
      extract: 0,
    });
    expect(text).toContain("y".repeat(900));
  });

  test("of one very long message do not crowd out the others", () => {
    const text = carriedText(stateOf(started("t1", "Use tabs."), started("t2", "y".repeat(9_000))), options, {
      words: 2_000,
      extract: 0,
    });
    expect(text).toContain("Use tabs.");
    expect(text).toContain("[…9000 bytes in all; the rest is left out]");
  });

  test("leave out the turns that were taken back, and the present one, which follows whole", () => {
    const text = carriedText(
      stateOf(started("t1", "first"), started("t2", "second")),
      { ...options, turnId: "t2" as TurnId },
      room,
    );
    expect(text).toContain("first");
    expect(text).not.toContain("second");
    expect(text).toMatch(/under way: go on with it from there\.$/);
  });
});

test("changed files are named by what became of them, without those that were undone", () => {
  const text = carriedText(
    stateOf(
      started("t1", "x"),
      changed("file:///w/new%20file.ts", null, "b"),
      changed("file:///w/src/a.ts", "a", "b"),
      changed("file:///w/src/a.ts", "b", "c"),
      changed("file:///w/gone.ts", "a", null),
      changed("file:///w/to.ts", "a", "a", "file:///w/from.ts"),
      changed("file:///elsewhere/b.ts", "a", "b"),
    ),
    options,
    room,
  );
  expect(text).toContain(
    "- new file.ts: created\n- src/a.ts: changed\n- gone.ts: deleted\n- to.ts: moved here from from.ts\n- /elsewhere/b.ts: changed",
  );
});

describe("an extract", () => {
  test("has the newest lines that there is room for", () => {
    const state = stateOf(
      started("t1", "x"),
      ...reads("a", "old.ts", "old text"),
      { type: "step_started", turnId: "t1", step: 2 },
      says("t1", 2, 0, "I have read it."),
      ...reads("b", "new.ts", "z".repeat(2_000)),
    );
    expect(extractOf(state, 10_000, { pruneSimilar: false })).toContain("old text");
    const short = extractOf(state, 640, { pruneSimilar: false });
    expect(short).toContain("(3 earlier lines of the conversation are left out.)");
    expect(short).toContain('→ read {"path":"new.ts"}');
    expect(short.length).toBeLessThan(720);
  });

  test("leaves out results that a later one says again, where that is wanted", () => {
    const state = stateOf(started("t1", "x"), ...reads("a", "a.ts", "before"), ...reads("b", "a.ts", "after"));
    const count = (pruneSimilar: boolean) => {
      const text = extractOf(state, 10_000, { pruneSimilar });
      return [text.includes("before"), text.includes("after"), text.includes("the same as a later result")];
    };
    expect(count(true)).toEqual([false, true, true]);
    expect(count(false)).toEqual([true, true, false]);
  });
});
