/**
 * From the paths that a command names to the files that it can reach: folders walked, patterns expanded, all bounded.
 *
 * An adapter's part: it reads folders. Not here: what is kept of them (`changeScan.ts`). Easily got wrong: what lies in
 * `.git` is never among the files; that a command reaches it is told apart, because git then cannot give anything back.
 */
import { lstat, readdir } from "node:fs/promises";
import { dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import { matchesGlob } from "./ignore.ts";

/** What some paths lead to. */
export interface Reach {
  /** Relative to the root, with `/`. */
  readonly files: readonly string[];
  /** Those of the given paths that exist. */
  readonly present: readonly string[];
  /** Given paths that lead out of the root. */
  readonly outside: readonly string[];
  /** A `.git` is among them or below one of them. */
  readonly git: boolean;
  /** There are more files than the limit. */
  readonly truncated: boolean;
}

const globbing = /[*?[]/;

/** Finds the files. `root` with its links followed; `limit` counts entries looked at. */
export async function findReach(
  root: string,
  paths: readonly string[],
  limit: number,
  signal: AbortSignal,
): Promise<Reach> {
  const files = new Set<string>();
  const present: string[] = [];
  const outside: string[] = [];
  let git = false;
  let truncated = false;
  for (const path of paths) {
    for (const target of await expand(root, path)) {
      const kind = await kindOf(target);
      if (kind === "nothing") continue;
      if (present.at(-1) !== path) present.push(path);
      const below = relative(root, target);
      if (isAbsolute(below) || below === ".." || below.startsWith(`..${sep}`)) {
        if (outside.at(-1) !== path) outside.push(path);
        continue;
      }
      const shown = below.split(sep).join("/");
      if (isGit(shown)) git = true;
      else if (kind === "other") files.add(shown);
      else {
        const found = await walkFiles({ root, folder: shown, limit: limit - files.size }, signal);
        for (const file of found.files) files.add(file);
        git ||= found.git;
        truncated ||= found.truncated;
      }
    }
  }
  return { files: [...files], present, outside, git, truncated };
}

/** All files below a folder (`""` for the root), level by level, `.git` left out. `skip` names folders not entered. */
export async function walkFiles(
  walk: {
    readonly root: string;
    readonly folder: string;
    readonly limit: number;
    readonly skip?: ReadonlySet<string>;
  },
  signal: AbortSignal,
): Promise<Pick<Reach, "files" | "git" | "truncated">> {
  const files: string[] = [];
  let git = false;
  let looked = 0;
  const folders = [walk.folder];
  for (let folder = folders.shift(); folder !== undefined; folder = folders.shift()) {
    signal.throwIfAborted();
    const entries = await readdir(join(walk.root, folder), { withFileTypes: true }).catch(() => []);
    for (const entry of entries) {
      if (entry.name === ".git") {
        git = true;
        continue;
      }
      looked += 1;
      if (looked > walk.limit) return { files, git, truncated: true };
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      if (!entry.isDirectory()) files.push(path);
      else if (!walk.skip?.has(entry.name)) folders.push(path);
    }
  }
  return { files, git, truncated: false };
}

function isGit(path: string): boolean {
  return path.split("/").includes(".git");
}

/** A pattern in the last step is expanded as a shell would; one in an earlier step stands for its whole folder. */
async function expand(root: string, path: string): Promise<readonly string[]> {
  if (!globbing.test(path)) return [resolve(root, path)];
  const folder = dirname(path);
  if (globbing.test(folder)) return [resolve(root, folder.slice(0, folder.search(globbing)).replace(/[^/]*$/, ""))];
  const pattern = path.slice(folder === "." && !path.startsWith("./") ? 0 : folder.replace(/\/$/, "").length + 1);
  const names = await readdir(resolve(root, folder)).catch(() => []);
  return names
    .filter((name) => (name.startsWith(".") ? pattern.startsWith(".") : true) && matchesGlob(pattern, name))
    .map((name) => resolve(root, folder, name));
}

async function kindOf(path: string): Promise<"folder" | "other" | "nothing"> {
  return lstat(path).then(
    (stats) => (stats.isDirectory() ? "folder" : "other"),
    () => "nothing",
  );
}
