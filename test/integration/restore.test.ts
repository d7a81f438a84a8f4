/** Checkpoints through a real host: files, conversation and both go back and come back, also after a kill and a restart. */
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { createLocalHost } from "../../server/src/main/local.ts";
import type { SessionEventBody } from "../../server/src/protocol/events.ts";
import type { RestoreId, SessionId, TurnId } from "../../server/src/protocol/types.ts";
import { createJournalStore } from "../../server/src/storage/journal.ts";
import { type Play, startPlay } from "../support/play.ts";

const signal = new AbortController().signal;
const uriOf = (play: Play, path: string) => pathToFileURL(join(play.root, path)).href;
const edit = (path: string, old: string, text: string) => ({ name: "edit", input: { path, old, new: text } });

/** Three turns: each changes a line of `a.txt`; the second makes a file, the third deletes nothing. */
async function threeTurns() {
  const play = await startPlay({
    files: { "a.txt": "1\n2\n3\n4\n5\n" },
    script: {
      steps: [
        { calls: [{ name: "read", input: { files: [{ path: "a.txt" }] } }, edit("a.txt", "1\n", "one\n")] },
        { say: "First." },
        { calls: [edit("a.txt", "3\n", "three\n"), { name: "write", input: { path: "new.txt", text: "new\n" } }] },
        { say: "Second." },
        { calls: [edit("a.txt", "5\n", "five\n")] },
        { say: "Third." },
        { say: "Again." },
        { say: "And again." },
      ],
    },
  });
  const first = await play.prompt("Do the first thing");
  const { sessionId } = first;
  const second = await play.prompt("Do the second thing", { sessionId });
  const third = await play.prompt("Do the third thing", { sessionId });
  return { play, sessionId, turns: [first.turnId, second.turnId, third.turnId] as const };
}

/** A process that is not there: more than any system gives. */
const gonePid = 99_999_999;
const there = (play: Play, path: string) => play.read(path).catch(() => null);

test("files and conversation go back to before a turn, and come back", async () => {
  const { play, sessionId, turns } = await threeTurns();
  await using _ = play;
  const { host } = play.local;
  const both = { sessionId, turnId: turns[1], files: true, conversation: true };
  const { restoreId, files, prompt } = await host.restore(both);
  expect(prompt).toMatchObject([{ type: "text", text: "Do the second thing" }]);
  expect(files.map(({ outcome }) => outcome)).toEqual(["restored", "restored"]);
  expect([await play.read("a.txt"), await there(play, "new.txt")]).toEqual(["one\n2\n3\n4\n5\n", null]);
  await expect(host.restore(both)).rejects.toMatchObject({ code: "unknown_turn" });
  await host.undoRestore({ sessionId, restoreId });
  expect([await play.read("a.txt"), await there(play, "new.txt")]).toEqual(["one\n2\nthree\n4\nfive\n", "new\n"]);
  await expect(host.undoRestore({ sessionId, restoreId })).rejects.toMatchObject({ code: "not_undoable" });
  // The model has its whole history again: the double checks that nothing of the prefix has changed.
  expect((await play.prompt("Go on", { sessionId })).stopReason).toBe("end_turn");
});

test("after the conversation went back the model is sent the same beginning and the new prompt, and no more", async () => {
  const { play, sessionId, turns } = await threeTurns();
  await using _ = play;
  const { host } = play.local;
  const { restoreId } = await host.restore({ sessionId, turnId: turns[1], files: false, conversation: true });
  expect(await play.read("a.txt")).toBe("one\n2\nthree\n4\nfive\n");
  play.double.announceRewind("Do the second thing");
  expect((await play.prompt("Do another thing", { sessionId })).stopReason).toBe("end_turn");
  await expect(host.undoRestore({ sessionId, restoreId })).rejects.toMatchObject({ code: "not_undoable" });
  // The files of turns that are not in the conversation can still go back.
  const { files } = await host.undo({ sessionId, turnId: turns[2] });
  expect(files).toMatchObject([{ outcome: "restored" }]);
  expect(await play.read("a.txt")).toBe("one\n2\nthree\n4\n5\n");
});

test("a new host knows what was restored, and can undo it", async () => {
  const { play, sessionId, turns } = await threeTurns();
  await using _ = play;
  const { restoreId } = await play.local.host.restore({ sessionId, turnId: turns[0], files: true, conversation: true });
  expect([await play.read("a.txt"), await there(play, "new.txt")]).toEqual(["1\n2\n3\n4\n5\n", null]);
  await play.local.close();
  const { config, root } = play;
  const other = await createLocalHost({
    ...{ config, root, environment: {}, trusted: () => true, ask: async () => "allow_once" },
    onUpdate: () => undefined,
  });
  await other.host.undoRestore({ sessionId, restoreId });
  expect([await play.read("a.txt"), await there(play, "new.txt")]).toEqual(["one\n2\nthree\n4\nfive\n", "new\n"]);
  await other.close();
});

test("what the user changed since stays, and an overlap is shown with both sides", async () => {
  const { play, sessionId, turns } = await threeTurns();
  await using _ = play;
  const { host } = play.local;
  await writeFile(join(play.root, "a.txt"), "one\nmine\n3!\n4\nfive\n");
  const uri = uriOf(play, "a.txt");
  const { restoreId, files } = await host.restore({ sessionId, turnId: turns[1], files: true, conversation: false });
  expect(files).toContainEqual({ uri, outcome: "conflict", bothSides: true });
  expect(await play.read("a.txt")).toBe("one\nmine\n3!\n4\nfive\n");
  const { present, text } = await host.readConflict({ sessionId, restoreId, uri }, signal);
  expect(present).toBe("one\nmine\n3!\n4\nfive\n");
  expect(text).toMatch(/^one\n<<<<<<< your text\n.*3!\n=======\n.*>>>>>>> before the turn\n4\n5\n$/s);
  await host.undoRestore({ sessionId, restoreId });
  expect([await play.read("a.txt"), await play.read("new.txt")]).toEqual(["one\nmine\n3!\n4\nfive\n", "new\n"]);
});

test("hunks are pending again when their undo is undone", async () => {
  let pending: readonly { readonly uri: string; readonly hunks: readonly unknown[] }[] = [];
  await using play = await startPlay({
    files: { "a.txt": "1\n2\n3\n4\n5\n" },
    script: { steps: [{ calls: [edit("a.txt", "1\n", "one\n"), edit("a.txt", "5\n", "five\n")] }, { say: "Done." }] },
    host: { onReview: (_, files) => (pending = files) },
  });
  const { host } = play.local;
  const { sessionId, turnId } = await play.prompt("Edit");
  await host.refreshReview(sessionId);
  const before = pending;
  expect(before[0]?.hunks).toHaveLength(2);
  const { restoreId } = await host.undo({ sessionId, turnId });
  await host.refreshReview(sessionId);
  expect(pending).toEqual([]);
  await host.undoRestore({ sessionId, restoreId });
  await host.refreshReview(sessionId);
  expect(pending).toEqual(before);
});

test("a restore whose former contents are gone says so and touches nothing", async () => {
  const { play, sessionId, turns } = await threeTurns();
  await using _ = play;
  await rm(join(play.home, "blobs"), { recursive: true });
  const going = play.local.host.restore({ sessionId, turnId: turns[0], files: true, conversation: true });
  await expect(going).rejects.toMatchObject({ code: "image_gone" });
  expect(await play.read("a.txt")).toBe("one\n2\nthree\n4\nfive\n");
  expect(play.events().some(({ type }) => type === "restore_started")).toBe(false);
});

test("a restore that a killed host left open is closed by what is there, and can be undone", async () => {
  const { play, sessionId, turns } = await threeTurns();
  await using _ = play;
  await play.local.close();
  const store = createJournalStore({ dir: play.home, clock: Date });
  const put = (text: string) => store.putBlob(Buffer.from(text));
  const [before, after, made] = [
    await put("one\n2\nthree\n4\nfive\n"),
    await put("1\n2\n3\n4\n5\n"),
    await put("new\n"),
  ];
  const restoreId = "killed" as RestoreId;
  const counts = { addedLines: 0, removedLines: 0 };
  const target = { type: "checkpoint", turnId: turns[0], files: true, conversation: true } as const;
  const left: SessionEventBody[] = [
    { type: "restore_started", restoreId, target, fileTurns: turns, conversationTurns: turns, hostPid: gonePid },
    { type: "file_restored", restoreId, change: { uri: uriOf(play, "new.txt"), before: made, after: null, ...counts } },
    { type: "file_restored", restoreId, change: { uri: uriOf(play, "a.txt"), before, after, ...counts } },
  ];
  const { events } = await store.read(sessionId);
  await store.append(sessionId, events.length, left);
  await store.close();
  // It was killed after the first write.
  await rm(join(play.root, "new.txt"));
  const { config, root } = play;
  const seen: string[] = [];
  const other = await createLocalHost({
    ...{ config, root, environment: {}, trusted: () => true, ask: async () => "allow_once" },
    onUpdate: (_id, update) => void seen.push(update.type),
  });
  const loaded = await other.host.loadSession(sessionId as SessionId);
  const files = [
    { uri: uriOf(play, "new.txt"), outcome: "restored" },
    { uri: uriOf(play, "a.txt"), outcome: "conflict" },
  ];
  expect(loaded.events.at(-1)).toMatchObject({ type: "restore_finished", restoreId, files, interrupted: true });
  await other.host.undoRestore({ sessionId, restoreId });
  expect([await play.read("a.txt"), await play.read("new.txt")]).toEqual(["one\n2\nthree\n4\nfive\n", "new\n"]);
  await other.close();
});

test("a restore of a turn that is not there, or of nothing, is refused", async () => {
  const { play, sessionId, turns } = await threeTurns();
  await using _ = play;
  const { host } = play.local;
  const nothing = { sessionId, turnId: turns[0], files: false, conversation: false };
  await expect(host.restore(nothing)).rejects.toMatchObject({ code: "nothing_to_restore" });
  const unknown = { sessionId, turnId: "nope" as TurnId, files: true, conversation: true };
  await expect(host.restore(unknown)).rejects.toMatchObject({ code: "unknown_turn" });
  const lost = { sessionId, restoreId: "nope" as RestoreId };
  await expect(host.undoRestore(lost)).rejects.toMatchObject({ code: "unknown_restore" });
});
