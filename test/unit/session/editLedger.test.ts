/** The ledger as a fold: what events say is pending, however it came to know them, and what review makes of it. */
import { describe, expect, test } from "vitest";
import { systemClock } from "../../../server/src/base/async.ts";
import { ToolError } from "../../../server/src/base/errors.ts";
import type { SessionEvent, SessionEventBody } from "../../../server/src/protocol/events.ts";
import type { PendingFile, UndoneFile } from "../../../server/src/protocol/review.ts";
import type { BlobId, CallId, SessionId, TurnId } from "../../../server/src/protocol/types.ts";
import { EditLedger } from "../../../server/src/session/editLedger.ts";
import { Review } from "../../../server/src/session/review.ts";
import { createMemoryStore } from "../../../server/src/storage/memory.ts";
import { digestOf } from "../../../server/src/workspace/fileBytes.ts";
import { createQueues } from "../../../server/src/workspace/queues.ts";
import { createMemoryWorkspace } from "../../support/memoryWorkspace.ts";
import { seeded } from "../workspace/seeded.ts";

const signal = new AbortController().signal;
const uriOf = (path: string) => `file:///project/${path}`;
const turn = (name: string) => name as TurnId;
const numbered = (count: number) => Array.from({ length: count }, (_, at) => `line ${at + 1}\n`).join("");

/** A session's journal, workspace and review, with the agent's hands. */
function begin(files: { readonly [path: string]: string } = {}) {
  const workspace = createMemoryWorkspace(files);
  const modes: (readonly [uri: string, mode: number])[] = [];
  workspace.setMode = async (uri, mode) => void modes.push([uri, mode]);
  const store = createMemoryStore({ clock: { now: () => 0 } });
  const id = "s" as SessionId;
  const told: (readonly PendingFile[])[] = [];
  const events: SessionEvent[] = [];
  const startReview = (past: readonly SessionEvent[]) =>
    new Review(
      {
        store,
        workspace,
        fileOrder: createQueues(),
        append: (body) => append(body),
        onChange: (pending) => void told.push(pending),
        clock: systemClock,
      },
      past,
    );
  let review = startReview([]);
  async function append(...bodies: readonly SessionEventBody[]): Promise<void> {
    for (const event of await store.append(id, events.length, bodies)) {
      events.push(event);
      review.take(event);
    }
  }
  const put = async (content: string | Uint8Array | null): Promise<BlobId | null> =>
    content === null ? null : store.putBlob(typeof content === "string" ? new TextEncoder().encode(content) : content);
  let calls = 0;
  /** Journals a change as the agent's; `happens` also makes it. */
  async function change(
    path: string,
    before: string | Uint8Array | null,
    after: string | Uint8Array | null,
    {
      turnId = turn("t1"),
      happens = true,
      ...modes
    }: { turnId?: TurnId; happens?: boolean; mode?: number; modeAfter?: number } = {},
  ): Promise<CallId> {
    const callId = `c${++calls}` as CallId;
    const images = { before: await put(before), after: await put(after) };
    const counts = { addedLines: 1, removedLines: 1, ...modes };
    await append({ type: "file_changed", turnId, callId, change: { uri: uriOf(path), ...images, ...counts } });
    if (happens && typeof after === "string") workspace.set(path, after);
    if (happens && after === null) workspace.remove(path);
    return callId;
  }
  const pending = async () => {
    await review.refresh();
    return told.at(-1) ?? [];
  };
  return {
    workspace,
    store,
    events,
    modes,
    append,
    change,
    pending,
    undo: (params: { uri?: string; hunkId?: string; turnId?: TurnId } = {}): Promise<readonly UndoneFile[]> =>
      review.apply({ action: "undo", ...params }, signal),
    keep: (params: { uri?: string; hunkId?: string; turnId?: TurnId } = {}) =>
      review.apply({ action: "keep", ...params }, signal),
    /** As a host that has just started. */
    restart: () => {
      review.close();
      review = startReview(events);
    },
    review: () => review,
  };
}

describe("the fold", () => {
  test("a change that did not happen leaves nothing, and the one before it stays", async () => {
    const session = begin({ "a.txt": numbered(9) });
    const first = numbered(9).replace("line 2", "two");
    await session.change("a.txt", numbered(9), first);
    const callId = await session.change("a.txt", first, first.replace("line 7", "seven"), { happens: false });
    await session.append({ type: "file_change_failed", turnId: turn("t1"), callId, uri: uriOf("a.txt") });
    const [file, ...others] = await session.pending();
    expect(others).toEqual([]);
    expect(file?.hunks.map(({ before }) => before)).toEqual([["line 2"]]);
    session.workspace.set("a.txt", first.replace("line 9", "nine"));
    expect((await session.pending())[0]?.hunks).toHaveLength(1);
  });

  test("a change that a killed host announced and did not make leaves nothing", async () => {
    const session = begin({ "a.txt": numbered(9) });
    await session.change("a.txt", numbered(9), numbered(9).replace("line 2", "two"), { happens: false });
    expect(await session.pending()).toEqual([]);
  });

  test("ids stay while other hunks come and go, also of equal hunks", async () => {
    const session = begin({ "a.txt": `same\n${numbered(9)}same\n` });
    const after = `SAME\n${numbered(9)}SAME\n`;
    await session.change("a.txt", `same\n${numbered(9)}same\n`, after);
    const [first, second] = (await session.pending())[0]?.hunks ?? [];
    expect(first?.id).not.toBe(second?.id);
    const more = after.replace("line 5", "five");
    await session.change("a.txt", after, more, { turnId: turn("t2") });
    const ids = (await session.pending())[0]?.hunks.map(({ id }) => id);
    expect([ids?.[0], ids?.[2]]).toEqual([first?.id, second?.id]);
    const typed = (text: string) => text.replace("line 3\n", "line 3\ntyped\n");
    session.workspace.set("a.txt", typed(more));
    expect((await session.pending())[0]?.hunks.map(({ id }) => id)).toEqual(ids);
    await session.undo({ uri: uriOf("a.txt"), hunkId: ids?.[1] ?? "" });
    expect(session.workspace.text("a.txt")).toBe(typed(after));
  });

  test("a new host sees what the old one saw, whatever was done", async () => {
    let compared = 0;
    for (let seed = 0; seed < 60; seed++) {
      const random = seeded(seed);
      const session = begin({ "a.txt": numbered(12), "b.txt": numbered(5) });
      let count = 0;
      const edit = (text: string, who: string) => {
        const lines = text.split("\n").slice(0, -1);
        const at = random.below(lines.length + 1);
        lines.splice(at, random.below(3), ...(random.below(3) === 0 ? [] : [`${who}${++count}`]));
        return lines.map((line) => `${line}\n`).join("");
      };
      for (let step = 0; step < 10; step++) {
        const path = random.pick(["a.txt", "b.txt"]);
        const text = session.workspace.text(path) ?? "";
        const act = random.below(6);
        if (act < 2) await session.change(path, text, edit(text, "a"), { turnId: turn(`t${step}`) });
        else if (act < 4) session.workspace.set(path, edit(text, "u"));
        else {
          const hunks = (await session.pending()).find(({ uri }) => uri === uriOf(path))?.hunks ?? [];
          const hunkId = hunks[random.below(hunks.length + 1)]?.id;
          if (hunkId) await session[act === 4 ? "keep" : "undo"]({ uri: uriOf(path), hunkId });
        }
        if (random.below(3) === 0) await session.pending();
      }
      const before = await session.pending();
      session.restart();
      expect(await session.pending(), `seed ${seed}`).toEqual(before);
      compared += before.length;
    }
    expect(compared).toBeGreaterThan(60);
  });

  test("a text that the store has lost makes one hunk of the file, and is left alone", async () => {
    const session = begin({ "a.txt": "now\n" });
    const lost = "0".repeat(64) as BlobId;
    await session.append({
      type: "file_changed",
      turnId: turn("t1"),
      callId: "c" as CallId,
      change: {
        uri: uriOf("a.txt"),
        before: lost,
        after: await session.store.putBlob(new TextEncoder().encode("now\n")),
        addedLines: 1,
        removedLines: 1,
      },
    });
    expect(await session.pending()).toMatchObject([{ status: "modified", hunks: [{ before: [] }], shadow: lost }]);
    expect(await session.undo()).toEqual([{ uri: uriOf("a.txt"), outcome: "conflict" }]);
    await session.keep();
    expect(await session.pending()).toEqual([]);
  });

  test("more texts than fit in memory are folded again", async () => {
    const session = begin();
    const ledger = new EditLedger(session.store);
    const big = `${"x".repeat(999)}\n`.repeat(9_000);
    for (let at = 0; at < 5; at++) {
      await session.change(`${at}.txt`, `${big}end\n`, `${big}END\n`);
    }
    for (const event of session.events) ledger.take(event);
    for (let round = 0; round < 2; round++) {
      for (let at = 0; at < 5; at++) {
        const view = await ledger.view(uriOf(`${at}.txt`), { kind: "text", text: `${big}END\n` });
        expect(view?.ids).toHaveLength(1);
      }
    }
  });
});

describe("review", () => {
  test("a deleted file comes back with its mode", async () => {
    const session = begin({ "run.sh": "echo\n" });
    await session.change("run.sh", "echo\n", null, { mode: 0o755 });
    expect(await session.pending()).toMatchObject([
      { status: "deleted", hunks: [{ fromLine: 1, lineCount: 0, before: ["echo"] }] },
    ]);
    expect(await session.undo()).toEqual([{ uri: uriOf("run.sh"), outcome: "restored" }]);
    expect(session.workspace.text("run.sh")).toBe("echo\n");
    expect(session.modes).toEqual([[uriOf("run.sh"), 0o755]]);
    expect(await session.pending()).toEqual([]);
  });

  test("an undo under which the file changes looks again and loses nothing", async () => {
    const session = begin({ "a.txt": numbered(9) });
    await session.change("a.txt", numbered(9), numbered(9).replace("line 2", "two"));
    let changes = 0;
    session.workspace.beforeSwap = () => {
      if (changes++ !== 1) return;
      session.workspace.set("a.txt", numbered(9).replace("line 2", "two").replace("line 8", "mine"));
    };
    expect(await session.undo()).toEqual([{ uri: uriOf("a.txt"), outcome: "restored" }]);
    expect(session.workspace.text("a.txt")).toBe(numbered(9).replace("line 8", "mine"));
    const [reviewed] = session.events.filter((event) => event.type === "hunks_reviewed");
    const stored = await session.store.getBlob(reviewed?.before ?? ("" as BlobId));
    expect(new TextDecoder().decode(stored)).toContain("mine");
  });

  test("only what a turn made", async () => {
    const session = begin({ "a.txt": numbered(9) });
    const first = numbered(9).replace("line 2", "two");
    await session.change("a.txt", numbered(9), first);
    await session.change("a.txt", first, first.replace("line 7", "seven"), { turnId: turn("t2") });
    await session.undo({ turnId: turn("t1") });
    expect(session.workspace.text("a.txt")).toBe(numbered(9).replace("line 7", "seven"));
    expect((await session.pending())[0]?.hunks.map(({ turnIds }) => turnIds)).toEqual([["t2"]]);
  });

  test("bytes that are not text are one hunk, kept or undone as a whole", async () => {
    const before = new Uint8Array([137, 80, 0, 1]);
    const after = new Uint8Array([137, 80, 0, 2]);
    for (const act of ["keep", "undo"] as const) {
      const session = begin();
      let bytes = after;
      session.workspace.swap = async () => {
        throw new ToolError("logo.png is a binary file.");
      };
      session.workspace.readBytes = async () => ({ bytes, mode: 0o600 });
      session.workspace.swapBytes = async (_, expected, replacement) => {
        if (expected !== digestOf(bytes) || !replacement) return false;
        expect(replacement.mode).toBe(0o600);
        bytes = new Uint8Array(replacement.bytes);
        return true;
      };
      await session.change("logo.png", before, after, { mode: 0o600 });
      const [file] = await session.pending();
      expect(file).toMatchObject({
        status: "modified",
        hunks: [{ before: [], lineCount: 0 }],
        shadow: digestOf(before),
      });
      const outcome = await session[act]({ uri: uriOf("logo.png"), hunkId: file?.hunks[0]?.id ?? "" });
      expect(outcome).toEqual([{ uri: uriOf("logo.png"), outcome: act === "keep" ? "unchanged" : "restored" }]);
      expect([...bytes]).toEqual([...(act === "keep" ? after : before)]);
      expect(await session.pending()).toEqual([]);
    }
  });

  test("undoing the last of a file's hunks gives back the mode that a command took", async () => {
    const session = begin({ "run.sh": "echo\n" });
    await session.change("run.sh", "echo\n", "echo hi\n", { mode: 0o755, modeAfter: 0o644 });
    await session.undo();
    expect(session.modes).toEqual([[uriOf("run.sh"), 0o755]]);
  });

  test("of more than 500 files the rest are told as a whole, and reviewed all the same", async () => {
    const session = begin();
    for (let at = 0; at < 503; at++) await session.change(`${at}.txt`, null, `${at}\n`);
    const files = await session.pending();
    expect(files).toHaveLength(503);
    expect(files.filter(({ hunks }) => hunks[0]?.id.startsWith("file:"))).toHaveLength(3);
    const last = files.at(-1);
    await session.undo({ uri: last?.uri ?? "", hunkId: last?.hunks[0]?.id ?? "" });
    expect(session.workspace.text("502.txt")).toBeUndefined();
    expect(await session.keep()).toHaveLength(502);
    expect(await session.pending()).toEqual([]);
  });

  test("a hunk that is gone is refused, and nothing changes", async () => {
    const session = begin({ "a.txt": numbered(3) });
    await session.change("a.txt", numbered(3), numbered(3).replace("line 2", "two"));
    await expect(session.undo({ uri: uriOf("a.txt"), hunkId: "other" })).rejects.toMatchObject({ code: "stale_hunk" });
    await expect(session.undo({ uri: uriOf("none.txt"), hunkId: "x" })).rejects.toMatchObject({ code: "stale_hunk" });
    expect(session.workspace.text("a.txt")).toContain("two");
  });
});
