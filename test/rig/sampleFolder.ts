/**
 * Lays out a working copy of the sample project for `npm start`, outside the repository, so that the sample itself
 * stays as it is and its test fails afresh.
 *
 * Not here: copies for tests. Easily got wrong: a copy that someone has worked in is never deleted; it is moved aside.
 */
import { execFile } from "node:child_process";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { root } from "./bootstrap.mjs";

/** The folder to open, and where an earlier copy with changes went. */
export interface PreparedSample {
  readonly folder: string;
  readonly kept?: string;
}

/** Not part of the comparison: made by tools, not by a person. */
const ignored = new Set([".git", "node_modules"]);

/** Makes the working copy, or reuses the one that is there and unchanged. */
export async function prepareSample(): Promise<PreparedSample> {
  const source = path.join(root, "sample");
  // The temporary folder may be shared, so the name holds the user and a folder of somebody else is not entered.
  const folder = path.join(os.tmpdir(), `hermes-sample-${userName()}`);
  const stat = await fs.lstat(folder).catch(() => undefined);
  if (stat === undefined) {
    await copySample(source, folder);
    return { folder };
  }
  const mine = stat.isDirectory() && (process.getuid === undefined || stat.uid === process.getuid());
  if (!mine) {
    const own = path.join(await fs.mkdtemp(`${folder}-`), "sample");
    await copySample(source, own);
    return { folder: own };
  }
  if (await isSame(source, folder)) return { folder };
  const kept = await freeName(folder);
  await fs.rename(folder, kept);
  await copySample(source, folder);
  return { folder, kept };
}

/** The user's name for a file name; a user id without a name, as in some containers, is used as it is. */
function userName(): string {
  try {
    return os.userInfo().username.replace(/\W/g, "_");
  } catch {
    return String(process.getuid?.() ?? "user");
  }
}

/** Copies the sample and, where git is installed, commits it, so that the editor shows what the agent changes. */
async function copySample(source: string, folder: string): Promise<void> {
  await fs.cp(source, folder, { recursive: true, filter: (file) => !ignored.has(path.basename(file)) });
  const git = (...args: string[]) =>
    promisify(execFile)(
      "git",
      ["-c", "user.name=Hermes sample", "-c", "user.email=sample@localhost", "-c", "commit.gpgsign=false", ...args],
      { cwd: folder },
    );
  try {
    await git("init", "--quiet");
    await git("add", "--all");
    await git("commit", "--quiet", "--message", "The sample as it comes");
  } catch {
    // Without git the sample works just as well.
  }
}

async function freeName(folder: string): Promise<string> {
  for (let n = 1; ; n++) {
    const name = `${folder}-${n}`;
    if ((await fs.lstat(name).catch(() => undefined)) === undefined) return name;
  }
}

async function isSame(a: string, b: string): Promise<boolean> {
  const [inA, inB] = await Promise.all([listFiles(a), listFiles(b)]);
  if (inA.join("\n") !== inB.join("\n")) return false;
  const same = await Promise.all(
    inA.map(async (file) => (await fs.readFile(path.join(a, file))).equals(await fs.readFile(path.join(b, file)))),
  );
  return same.every(Boolean);
}

async function listFiles(folder: string, below = ""): Promise<string[]> {
  const entries = await fs.readdir(path.join(folder, below), { withFileTypes: true });
  const files = await Promise.all(
    entries
      .filter((entry) => !ignored.has(entry.name))
      .map((entry) =>
        entry.isDirectory() ? listFiles(folder, path.join(below, entry.name)) : [path.join(below, entry.name)],
      ),
  );
  return files.flat().sort();
}
