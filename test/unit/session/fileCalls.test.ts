/** Deleting and moving: what is stored, and when, around the disk's part; and what is said when it fails. */
import { expect, test } from "vitest";
import type { SessionEventBody } from "../../../server/src/protocol/events.ts";
import type { BlobId, CallId, FileChange, TurnId } from "../../../server/src/protocol/types.ts";
import { type FileCallDeps, moveFile, removeFile } from "../../../server/src/session/fileCalls.ts";
import { createMemoryStore } from "../../../server/src/storage/memory.ts";
import { createQueues } from "../../../server/src/workspace/queues.ts";
import type { FileText } from "../../../server/src/workspace/workspace.ts";
import { createMemoryWorkspace } from "../../support/memoryWorkspace.ts";

const { signal } = new AbortController();
const [a, b, folderB] = ["file:///project/a.txt", "file:///project/b.txt", "file:///project/lib/b.txt"];

/** Calls over a workspace with `a.txt`; everything that happens is told in order. */
async function setUp(fail?: "putBlob" | "file_changed") {
  const happened: string[] = [];
  const changes: FileChange[] = [];
  const failing = (step: string) => {
    happened.push(step);
    if (step === fail) throw new Error(`${step} failed.`);
  };
  const inner = createMemoryStore({ clock: { now: () => 1 } });
  const workspace = createMemoryWorkspace({ "a.txt": "one\ntwo\n" });
  const { swapBytes, moveFile: move } = workspace;
  const deps: FileCallDeps = {
    append: async (...bodies: readonly SessionEventBody[]) => {
      for (const body of bodies) {
        failing(body.type);
        if (body.type === "file_changed") changes.push(body.change);
      }
    },
    store: {
      putBlob: async (bytes: Uint8Array): Promise<BlobId> => {
        failing("putBlob");
        return inner.putBlob(bytes);
      },
    },
    workspace: {
      ...workspace,
      swapBytes: async (...about) => {
        happened.push("delete");
        return (await swapBytes?.(...about)) ?? false;
      },
      moveFile: async (...about) => {
        happened.push("move");
        return (await move?.(...about)) ?? "missing";
      },
    },
    turnId: "t1" as TurnId,
    callId: "c1" as CallId,
    fileOrder: createQueues(),
    lastSeen: new Map<string, FileText>([[a, await workspace.read(a, signal)]]),
    changes: () => changes,
  };
  return { deps, happened, changes, workspace };
}

test("bytes are stored and the change is journaled before a file goes", async () => {
  const { deps, happened, changes, workspace } = await setUp();
  expect(await removeFile(deps, a, signal)).toBe(true);
  expect(happened).toEqual(["putBlob", "file_changed", "delete"]);
  expect(changes).toEqual([
    { uri: a, before: expect.any(String), after: null, addedLines: 0, removedLines: 2, mode: 0o644 },
  ]);
  expect(workspace.text("a.txt")).toBeUndefined();
  expect(deps.lastSeen.size).toBe(0);
  expect(await removeFile(deps, a, signal)).toBe(false);
});

test("a move is one change that says where from, and what the model has seen goes along", async () => {
  const { deps, happened, changes } = await setUp();
  expect(await moveFile(deps, a, folderB, signal)).toBe("moved");
  expect(happened).toEqual(["putBlob", "file_changed", "move"]);
  const [change] = changes;
  expect(change).toMatchObject({ uri: folderB, movedFrom: a, addedLines: 0, removedLines: 0 });
  expect(change?.before).toBe(change?.after);
  expect([...deps.lastSeen].map(([uri, file]) => [uri, file.uri, file.text])).toEqual([
    [folderB, folderB, "one\ntwo\n"],
  ]);
});

test("a move onto a place whose file the session deleted is a deletion and a new file", async () => {
  const { deps, changes, workspace } = await setUp();
  workspace.set("b.txt", "b\n");
  await removeFile(deps, b, signal);
  await moveFile(deps, a, b, signal);
  expect(changes.slice(1)).toMatchObject([
    { uri: a, after: null },
    { uri: b, before: null, after: changes[1]?.before },
  ]);
  expect(changes.some(({ movedFrom }) => movedFrom !== undefined)).toBe(false);
});

test("nothing is touched when bytes cannot be stored, or the change cannot be journaled", async () => {
  for (const fail of ["putBlob", "file_changed"] as const) {
    const { deps, happened, workspace } = await setUp(fail);
    await expect(removeFile(deps, a, signal)).rejects.toThrow(`${fail} failed.`);
    await expect(moveFile(deps, a, b, signal)).rejects.toThrow(`${fail} failed.`);
    expect(happened).not.toContain("delete");
    expect(happened).not.toContain("move");
    expect(workspace.text("a.txt")).toBe("one\ntwo\n");
  }
});

test("what did not happen is journaled as such: a place that is taken, and a file that changes meanwhile", async () => {
  const { deps, happened, workspace } = await setUp();
  workspace.set("b.txt", "b\n");
  expect(await moveFile(deps, a, b, signal)).toBe("taken");
  expect(happened).toEqual(["putBlob", "file_changed", "move", "file_change_failed"]);
  expect(deps.lastSeen.has(a)).toBe(true);
  happened.length = 0;
  const swapBytes = deps.workspace.swapBytes;
  let typed = 0;
  const busy = {
    ...deps.workspace,
    swapBytes: async (...about: Parameters<NonNullable<typeof swapBytes>>) => {
      typed += 1;
      if (typed === 1) workspace.set("a.txt", "typed meanwhile\n");
      return (await swapBytes?.(...about)) ?? false;
    },
  };
  expect(await removeFile({ ...deps, workspace: busy }, a, signal)).toBe(true);
  const attempt = ["putBlob", "file_changed", "delete"];
  expect(happened).toEqual([...attempt, "file_change_failed", ...attempt]);
});
