/** Coalescing of streamed deltas: what is joined, what is sent at once, and that order holds. */
import { expect, test } from "vitest";
import { createCoalescer } from "../../../server/src/main/updates.ts";
import type { SessionUpdate } from "../../../server/src/protocol/events.ts";
import type { SessionId } from "../../../server/src/protocol/types.ts";
import { createEvents } from "../../support/events.ts";

function record() {
  const sent: (readonly SessionUpdate[])[] = [];
  let frame: (() => void) | undefined;
  const coalescer = createCoalescer({
    send: (_, updates) => sent.push(updates),
    after: (_, run) => {
      frame = run;
      return () => {
        frame = undefined;
      };
    },
  });
  return {
    sent,
    push: (update: object) => coalescer.push("s" as SessionId, update as SessionUpdate),
    frame: () => frame?.(),
  };
}

const text = (index: number, value: string) => ({ type: "text_delta", turnId: "t", index, text: value });

test("neighbouring deltas of one block become one, once a frame", () => {
  const { sent, push, frame } = record();
  push(text(0, "first"));
  push(text(0, "a"));
  push(text(0, "b"));
  push(text(1, "c"));
  push({ type: "tool_output_delta", callId: "x", text: "1" });
  push({ type: "tool_output_delta", callId: "x", text: "2" });
  expect(sent).toEqual([[text(0, "first")]]);
  frame();
  expect(sent.slice(1)).toEqual([
    [text(0, "ab"), text(1, "c"), { type: "tool_output_delta", callId: "x", text: "12" }],
  ]);
});

test("a delta after a pause does not wait, the next one waits for the frame", () => {
  const { sent, push, frame } = record();
  push(text(0, "a"));
  expect(sent).toEqual([[text(0, "a")]]);
  frame();
  push(text(0, "b"));
  push(text(0, "c"));
  expect(sent).toEqual([[text(0, "a")], [text(0, "b")]]);
  frame();
  frame();
  push(text(0, "d"));
  expect(sent.slice(2)).toEqual([[text(0, "c")], [text(0, "d")]]);
});

test("an event goes out at once, after the deltas before it", () => {
  const { sent, push, frame } = record();
  const [event] = createEvents({ type: "notice", level: "info", message: "hello" });
  push(text(0, "first"));
  push(text(0, "a"));
  push(event as object);
  push(text(0, "b"));
  expect(sent.slice(1)).toEqual([[text(0, "a"), event]]);
  frame();
  expect(sent[2]).toEqual([text(0, "b")]);
});

test("a call's first, empty delta is not lost", () => {
  const { sent, push, frame } = record();
  const delta = (callId: string, json: string, index: number) => ({
    type: "tool_call_delta",
    turnId: "t",
    index,
    callId,
    name: "read",
    json,
  });
  push(text(0, "first"));
  push(delta("a", "", 0));
  push(delta("a", "{", 0));
  push(delta("b", "", 1));
  frame();
  expect(sent.slice(1)).toEqual([[delta("a", "{", 0), delta("b", "", 1)]]);
});
