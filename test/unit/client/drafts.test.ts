/**
 * Which edits are being written, told from what the page is told: they begin with their place and end with their block.
 *
 * Easily got wrong: a draft that outlives its block would be painted over a file that has been changed.
 */
import { describe, expect, test } from "vitest";
import { Drafts } from "../../../client/src/drafts.ts";
import type { SessionDelta, SessionEventBody, SessionUpdate } from "../../../server/src/protocol/events.ts";
import type { ToPanel } from "../../../server/src/protocol/panel.ts";
import * as say from "../../support/panelMessages.ts";

const { sessionId, turnId } = say;

function piece(json: string, index = 0, name = "edit"): SessionDelta {
  return { type: "tool_call_delta", turnId, index, callId: say.call(`c${index}`), name, json };
}
function updates(...list: readonly SessionUpdate[]): ToPanel {
  return { type: "updates", sessionId, updates: list };
}
function event(body: SessionEventBody): ToPanel {
  return updates(...say.numbered([body]));
}
const part = { type: "tool_call", callId: say.call("c0"), name: "edit", input: {} } as const;
const block: SessionEventBody = {
  type: "assistant_block",
  turnId,
  step: 1,
  index: 0,
  api: "anthropic-messages",
  block: { part },
};
const begun = '{"path":"src/a.ts","old":"let a","new":"let ';

describe("drafts", () => {
  test("are there when path and old text are, and grow", () => {
    const drafts = new Drafts();
    expect(drafts.take(updates(piece('{"path":"src/a.ts","old":"le')))).toBe(true);
    expect(drafts.current()).toEqual([]);
    drafts.take(updates(piece('t a"')));
    expect(drafts.current()).toEqual([{ index: 0, path: "src/a.ts", old: "let a", text: "" }]);
    drafts.take(updates(piece(',"new":"let b'), piece("c")));
    expect(drafts.current()).toEqual([{ index: 0, path: "src/a.ts", old: "let a", text: "let bc" }]);
  });

  test("of a whole file need its path only; other tools write none", () => {
    const drafts = new Drafts();
    drafts.take(updates(piece('{"path":"b.ts","text":"x', 1, "write")));
    expect(drafts.take(updates(piece('{"path":"b.ts","old":"x"', 2, "shell")))).toBe(false);
    expect(drafts.current()).toEqual([{ index: 1, path: "b.ts", old: undefined, text: "x" }]);
  });

  test("of one answer end one by one, each with its block", () => {
    const drafts = new Drafts();
    drafts.take(updates(piece(begun), piece(begun.replace("a.ts", "b.ts"), 1)));
    expect(drafts.take(event(block))).toBe(true);
    expect(drafts.current().map(({ path }) => path)).toEqual(["src/b.ts"]);
  });

  test.each<[string, SessionEventBody]>([
    ["the turn ends", { type: "turn_finished", turnId, stopReason: "cancelled" }],
    ["the stream breaks and the step is asked again", { type: "step_restarted", turnId, step: 1, reason: "cut" }],
    ["the next step begins", { type: "step_started", turnId, step: 2 }],
  ])("end when %s", (_, body) => {
    const drafts = new Drafts();
    drafts.take(updates(piece(begun)));
    expect(drafts.take(event(body))).toBe(true);
    expect(drafts.current()).toEqual([]);
    expect(drafts.take(event(body))).toBe(false);
  });

  test("of another session vanish when it is shown; those that it is streaming appear", () => {
    const drafts = new Drafts();
    drafts.take(updates(piece(begun)));
    const live = [piece('{"path":"z.ts","old":"z","new":"')];
    expect(drafts.take({ type: "session", sessionId, events: [], live })).toBe(true);
    expect(drafts.current().map(({ path }) => path)).toEqual(["z.ts"]);
    expect(drafts.clear()).toBe(true);
    expect(drafts.clear()).toBe(false);
  });

  test("whose beginning was missed are not shown", () => {
    const drafts = new Drafts();
    drafts.take(updates(piece('ld":"let a","path":"x","new":"')));
    expect(drafts.current()).toEqual([]);
  });
});
