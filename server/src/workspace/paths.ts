/**
 * From what a model writes as a path to one file: absolute, links followed, inside or outside of the root.
 *
 * An adapter's part: it asks the disk. Not here: ignore rules. Easily got wrong: a file may not exist yet, so links are
 * followed only along the part of the path that does; and a link that leads out of the root makes the path outside.
 */
import { lstat, readlink, realpath } from "node:fs/promises";
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { errorCode, messageOf, ToolError } from "../base/errors.ts";

/** A path in all the forms that the workspace needs. */
export interface LocatedPath {
  readonly uri: string;
  /** Links followed. */
  readonly fsPath: string;
  /** Where the path itself is, before its last part is followed: what a deletion removes. */
  readonly linkPath: string;
  /** Relative to the root with `/`, `.` for the root, or absolute when outside. */
  readonly path: string;
  readonly inside: boolean;
}

/** Links that may lead on to another before it counts as a circle. */
const maxLinks = 40;

/** The absolute path that `input` means. Throws `ToolError` for what is no path of this machine. */
function toAbsolutePath(root: string, input: string): string {
  if (input.includes("\0")) throw new ToolError("The path has a NUL character, which no file name can have.");
  if (input.trim() === "") throw new ToolError('The path is empty. Use "." for the workspace folder.');
  if (/^file:/i.test(input)) {
    try {
      return fileURLToPath(input);
    } catch (cause) {
      throw new ToolError(`${input} is not a file URI of this machine. Use a path relative to the workspace.`, {
        cause,
      });
    }
  }
  if (/^[a-z][a-z0-9+.-]+:\/\//i.test(input)) {
    throw new ToolError(`${input} is not a file. Use a path relative to the workspace, or a file: URI.`);
  }
  return resolve(root, input);
}

/** Locates a path. `root` as given, `realRoot` with its links followed. Throws `ToolError` for links in a circle and names that the system refuses. */
export async function locate(root: string, realRoot: string, input: string): Promise<LocatedPath> {
  const absolute = toAbsolutePath(root, input);
  const fsPath = await followLinks(absolute, 0);
  const below = relative(realRoot, fsPath);
  const inside = below === "" || (!isAbsolute(below) && below !== ".." && !below.startsWith(`..${sep}`));
  const linkPath = join(await followLinks(dirname(absolute), 0), basename(absolute));
  if (!inside) return { uri: pathToFileURL(fsPath).href, fsPath, linkPath, path: fsPath, inside };
  // In the editor's words: the root as it was opened, even when that is a link.
  const uri = pathToFileURL(join(root, below)).href;
  return { uri, fsPath, linkPath, path: below === "" ? "." : below.split(sep).join("/"), inside };
}

/** How an entry of the disk is named, given by its absolute path with the links before its last part followed. */
export function nameEntry(root: string, realRoot: string, entryPath: string): Pick<LocatedPath, "uri" | "path"> {
  const below = relative(realRoot, entryPath);
  if (isAbsolute(below) || below === ".." || below.startsWith(`..${sep}`)) {
    return { uri: pathToFileURL(entryPath).href, path: entryPath };
  }
  return { uri: pathToFileURL(join(root, below)).href, path: below === "" ? "." : below.split(sep).join("/") };
}

async function followLinks(path: string, links: number): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    const code = errorCode(error);
    if (code === "ELOOP" || links > maxLinks) {
      throw new ToolError(`${path} is a symbolic link that leads in a circle.`, { cause: error });
    }
    if (code === "ENAMETOOLONG") {
      throw new ToolError("The path is too long for the file system. Choose a shorter one.", { cause: error });
    }
    if (code !== "ENOENT" && code !== "ENOTDIR" && code !== "EACCES") {
      throw new ToolError(`${path} could not be looked up: ${messageOf(error)}.`, { cause: error });
    }
  }
  const parent = dirname(path);
  if (parent === path) return path;
  const here = join(await followLinks(parent, links), basename(path));
  const isLink = await lstat(here).then(
    (stats) => stats.isSymbolicLink(),
    () => false,
  );
  return isLink ? followLinks(resolve(dirname(here), await readlink(here)), links + 1) : here;
}
