/**
 * `checkpoint`: in a tree of 200,000 files, what keeping the images of an edit costs, in time and in bytes, and what
 * looking for the changes of a shell command costs.
 *
 * Not here: undo. Easily got wrong: an edit's images do not depend on the tree, so the same is measured in a tree of ten
 * files; and the store is checked to give back the bytes from before.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, statfsSync, statSync, writeFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { CallId, SessionId, TurnId } from "../../server/src/protocol/types.ts";
import { createJournalStore } from "../../server/src/storage/journal.ts";
import type { SessionStore } from "../../server/src/storage/store.ts";
import { createDiskWorkspace } from "../../server/src/workspace/disk.ts";
import { seededRandom } from "../support/double/timing.ts";
import { abba, type BenchContext, type Findings, quartiles, type Row, timed } from "./measure.ts";

const rounds = 10;
const treeFiles = 200_000;
const filesOfFolder = 500;
/** Free bytes that the tree needs, with git's index and objects: each small file takes two blocks. */
const neededBytes = 4e9;
/** Bytes of the file that is edited: a large source file. */
const editedBytes = 40_000;

/** Measures checkpoints; says so when the disk has no room. */
export async function checkpoint({ work, seed }: BenchContext): Promise<Findings> {
  const { bavail, bsize, ffree } = statfsSync(work);
  if (bavail * bsize < neededBytes || ffree < treeFiles * 2.5) {
    return { rows: [], notes: [`Left out: ${work} has no room for ${treeFiles} files and git's copies of them.`] };
  }
  const rows: Row[] = [];
  const notes: string[] = [];
  for (const files of [10, treeFiles]) {
    const root = join(work, `tree-${files}`);
    makeTree(root, files, seed);
    const name = `tree of ${files.toLocaleString("en")} files`;
    const edit = await editCost(root, join(work, `home-${files}`), seed);
    rows.push({
      what: `${name}: writing the edited file, flushed`,
      value: quartiles(edit.write),
      unit: "ms",
      ratio: 1,
    });
    rows.push({
      what: `${name}: keeping both images and journaling the change, flushed`,
      value: quartiles(edit.keep),
      unit: "ms",
      ratio: quartiles(edit.keep).mid / quartiles(edit.write).mid,
    });
    notes.push(
      `${name}: ${edit.edits} edits of a file of ${edit.fileBytes} bytes grew the store by ${edit.storedBytes} bytes: ${(edit.storedBytes / edit.edits / edit.fileBytes).toFixed(2)} of the file per edit.`,
    );
    const shell = await commandCost(root, join(work, `home-${files}`));
    rows.push({ what: `${name}: \`git status\``, value: quartiles(shell.status), unit: "ms", ratio: 1 });
    rows.push({
      what: `${name}: looking before and after a shell command that changes one file`,
      value: quartiles(shell.look),
      unit: "ms",
      ratio: quartiles(shell.look).mid / quartiles(shell.status).mid,
    });
  }
  return { rows, notes };
}

/** A git repository with one commit that has all files, but for one that is edited. */
function makeTree(root: string, files: number, seed: string): void {
  for (let at = 0; at < files; at += filesOfFolder) {
    const folder = join(root, `part${Math.floor(at / filesOfFolder / 20)}`, `folder${at / filesOfFolder}`);
    mkdirSync(folder, { recursive: true });
    for (let file = at; file < Math.min(files, at + filesOfFolder); file += 1)
      writeFileSync(join(folder, `file${file}.ts`), `export const value${file} = ${file};\n`);
  }
  const random = seededRandom(seed);
  let text = "";
  for (let line = 0; text.length < editedBytes; line += 1)
    text += `export const value${line} = compute(${Math.floor(random() * 1e9)}, "words of line ${line}");\n`;
  writeFileSync(join(root, "edited.ts"), text);
  const git = (...args: readonly string[]) => execFileSync("git", args, { cwd: root, stdio: "ignore" });
  git("init", "--quiet");
  git("config", "user.name", "Bench");
  git("config", "user.email", "bench@example.invalid");
  // Git would tidy up in the background for minutes, while the times are taken and the tree is removed.
  git("config", "gc.auto", "0");
  git("config", "maintenance.auto", "false");
  git("add", "--all");
  git("commit", "--quiet", "--no-gpg-sign", "--message", "all files");
}

async function editCost(root: string, home: string, seed: string) {
  const store = createJournalStore({ dir: home, clock: { now: Date.now } });
  const path = join(root, "edited.ts");
  const id = "bench" as SessionId;
  let text = await readFile(path, "utf8");
  const fileBytes = Buffer.byteLength(text);
  let seq = 0;
  let edits = 0;
  const bytes = (content: string) => new TextEncoder().encode(content);
  const changed = () => {
    edits += 1;
    return text.replace(/"words of line 7[^"]*"/, `"words of line 7, edit ${edits} of ${seed}"`);
  };
  // What a session does with an edit before the file is written (`session/toolCalls.ts`).
  const keepImages = async () => {
    const next = changed();
    const ms = await timed(async () => {
      const [before, after] = await Promise.all([store.putBlob(bytes(text)), store.putBlob(bytes(next))]);
      const change = { uri: pathToFileURL(path).href, before, after, addedLines: 1, removedLines: 1 };
      const event = { type: "file_changed", turnId: "t" as TurnId, callId: "c" as CallId, change } as const;
      seq = (await store.append(id, seq, [event])).at(-1)?.seq ?? seq;
    });
    await checkImage(store, id, text);
    text = next;
    return ms;
  };
  const write = () => timed(() => writeFile(join(root, "written.ts"), text, { flush: true }));
  await keepImages();
  const before = { bytes: sizeOf(home), edits };
  const samples = await abba(rounds, write, keepImages);
  await store.close();
  execFileSync("rm", ["-f", join(root, "written.ts")]);
  return {
    write: samples.a,
    keep: samples.b,
    fileBytes,
    edits: edits - before.edits,
    storedBytes: sizeOf(home) - before.bytes,
  };
}

async function checkImage(store: SessionStore, id: SessionId, text: string): Promise<void> {
  const last = (await store.read(id)).events.at(-1);
  const image =
    last?.type === "file_changed" && last.change.before ? await store.getBlob(last.change.before) : undefined;
  if (!image || new TextDecoder().decode(image) !== text) throw new Error("The image from before is not in the store.");
}

/** Bytes of all files below a folder. */
function sizeOf(folder: string): number {
  let bytes = 0;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true }))
    if (entry.isFile()) bytes += statSync(join(entry.parentPath, entry.name)).size;
  return bytes;
}

async function commandCost(root: string, home: string) {
  let runs = 0;
  const store = createJournalStore({ dir: home, clock: { now: Date.now } });
  const workspace = createDiskWorkspace({
    root,
    outputDir: home,
    environment: { PATH: process.env.PATH },
    createId: () => `bench-${runs}`,
  });
  const signal = new AbortController().signal;
  const look = async () => {
    const { snapshotChanges } = workspace;
    if (!snapshotChanges) throw new Error("This workspace does not look for changes.");
    runs += 1;
    const path = join(root, "edited.ts");
    const text = await readFile(path, "utf8");
    let changes = 0;
    const ms = await timed(async () => {
      const scope = { paths: [], ignored: false, anything: true };
      const snapshot = await snapshotChanges.call(workspace, scope, (bytes) => store.putBlob(bytes), signal);
      await writeFile(path, `${text}// ${runs}\n`);
      changes = (await snapshot.changes(signal)).changes.length;
    });
    if (changes !== 1) throw new Error(`One file was changed, and ${changes} were found.`);
    return ms;
  };
  const status = () => timed(() => execFileSync("git", ["status", "--porcelain"], { cwd: root }));
  const samples = await abba(3, status, look);
  await store.close();
  return { status: samples.a, look: samples.b };
}
