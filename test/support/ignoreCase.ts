/**
 * A disk that ignores case in names, as those of macOS and Windows do, over one that does not: the functions of
 * `node:fs/promises` find a file under any spelling of its path, and `realpath` tells its own.
 *
 * Not here: what works on open files, and programs that are started. Easily got wrong: a rename is the one thing that
 * gives a file another spelling.
 */
import { readdirSync } from "node:fs";
import type fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";

/** Whether case is ignored now. */
export const disk = { ignoresCase: true };

const onePath = [
  ...(["access", "appendFile", "chmod", "lstat", "mkdir", "open", "readFile", "readdir", "readlink"] as const),
  ...(["realpath", "rmdir", "stat", "unlink", "utimes", "writeFile"] as const),
];

/** The functions over the real ones, for paths below the folder for temporary files. */
export function ignoreCase(real: typeof fs): typeof fs {
  const wrapped = Object.fromEntries(
    onePath.map((name) => {
      const call = real[name] as (...values: unknown[]) => unknown;
      return [name, (path: unknown, ...more: unknown[]) => call(spelled(path), ...more)];
    }),
  );
  return {
    ...real,
    ...wrapped,
    link: (from, to) => real.link(spelled(from), spelled(to)),
    symlink: (target, path, type) => real.symlink(target, spelled(path), type),
    rename: (from, to) => {
      const isSame = spelled(from) === spelled(to) && typeof to === "string";
      return real.rename(spelled(from), isSame ? join(spelled(dirname(to)), basename(to)) : spelled(to));
    },
  };
}

/** A path as the disk has it, as far as it exists. */
function spelled<T>(path: T): T;
function spelled(path: unknown): unknown {
  if (!disk.ignoresCase || typeof path !== "string" || !path.startsWith(join(tmpdir(), "/"))) return path;
  const folder = spelled(dirname(path));
  const name = basename(path);
  const names = namesIn(folder);
  if (names.includes(name)) return join(folder, name);
  return join(folder, names.find((other) => other.toLowerCase() === name.toLowerCase()) ?? name);
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
