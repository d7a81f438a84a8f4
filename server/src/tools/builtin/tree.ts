/**
 * What `delete` and `move` look at before they touch anything: the files at a path and below, within bounds.
 *
 * Not here: storing and changing (`context.remove`, `context.move`). Easily got wrong: a link is what is meant, never what
 * it leads to; and hidden and ignored files count, because they would go as well.
 */
import { ToolError } from "../../base/errors.ts";
import type { FoundTree, ResolvedPath, Workspace } from "../../workspace/workspace.ts";
import { below } from "../access.ts";
import type { Access, Subject } from "../tool.ts";
import { counted } from "./text.ts";

/** Files of one call. */
const maxFiles = 2_000;
/** Bytes of one call, all of which are kept for undo: 64 MB. */
const maxBytes = 64 * 1024 * 1024;

/** A path that a call names, with what is there. */
export interface Target {
  readonly resolved: ResolvedPath;
  /** The entry itself, a link not followed. */
  readonly uri: string;
  readonly tree: FoundTree;
}

/** The entry that a path names itself. */
export function entryOf({ uri, entryUri }: ResolvedPath): string {
  return entryUri ?? uri;
}

/** What is at a path. Throws `ToolError` where there is nothing, or nothing that Hermes could bring back. */
export async function findTarget(path: string, workspace: Workspace, signal: AbortSignal): Promise<Target> {
  const resolved = await workspace.resolve(path);
  const uri = entryOf(resolved);
  refuseSpecial(resolved, uri, workspace);
  const tree = await workspace.findTree?.(path, maxFiles, signal);
  if (!tree) throw new ToolError(`${path} does not exist. Use list or search to find it.`);
  refuseUnkept(path, tree);
  return { resolved, uri, tree };
}

/** For the approval: how much it is, and what undo could not bring back. */
export function describeTrees(trees: readonly FoundTree[]): string {
  const files = trees.flatMap((tree) => tree.files);
  const empty = trees.reduce((sum, { emptyFolders }) => sum + emptyFolders, 0);
  const cannot = empty === 0 ? "" : `, but not ${counted(empty, "empty folder")}`;
  return `${counted(files.length, "file")}. Undo can bring ${files.length === 1 ? "it" : "them"} back${cannot}.`;
}

/** Folders with all that is in them, for the hazards of a call. */
export async function accessOf(paths: readonly string[], workspace: Workspace): Promise<Access> {
  const all = await Promise.all(paths.map((path) => workspace.resolve(path)));
  const touched = all.flatMap((resolved) => [resolved.uri, entryOf(resolved), below(entryOf(resolved))]);
  const resources = [...new Set(touched)];
  return { reads: resources, writes: resources };
}

/**
 * A path with what is in it, so that a rule about one file of a folder holds for the folder, and one about a link for the
 * link; `to` is where it would go.
 */
export async function subjectsOf(
  path: string,
  to: string | undefined,
  workspace: Workspace,
): Promise<readonly Subject[]> {
  const from = await workspace.resolve(path);
  const tree = await workspace.findTree?.(path, maxFiles, neverAborted).catch(() => undefined);
  const files = tree?.files ?? [];
  const entries = files.map(
    (file): ResolvedPath => ({ ...from, uri: file.uri, path: file.path, inside: !isAbsolute(file.path) }),
  );
  const subject: Subject = { type: "path", resolved: from, below: entries };
  if (to === undefined) return [subject];
  const target = await workspace.resolve(to);
  const isFolder = tree?.isFolder ?? false;
  const placed = isFolder
    ? entries.map((entry): ResolvedPath => ({ ...target, path: target.path + entry.path.slice(from.path.length) }))
    : [];
  return [subject, { type: "path", resolved: target, below: placed }];
}

/** Where a file of one folder is once the folder is another. */
export function movedUri(uri: string, from: string, to: string): string {
  return to + uri.slice(from.length);
}

const neverAborted = new AbortController().signal;

function isAbsolute(path: string): boolean {
  return /^(?:\/|[A-Za-z]:)/.test(path);
}

function refuseSpecial({ path }: ResolvedPath, uri: string, workspace: Workspace): void {
  if (path === "." || workspace.root.startsWith(`${path}/`)) {
    throw new ToolError("The workspace's own folder cannot be deleted or moved. Name what is in it.");
  }
  if (!uri.split("/").includes(".git")) return;
  throw new ToolError(`${path} belongs to git itself. Use git commands for that.`);
}

function refuseUnkept(path: string, { files, truncated }: FoundTree): void {
  const instead = "Nothing was changed. Name less at once, or ask the user whether shell may do it, which undo cannot.";
  if (truncated) throw new ToolError(`${path} has more than ${maxFiles} files and folders. ${instead}`);
  const special = files.find(({ kind }) => kind === "other");
  if (special) throw new ToolError(`${special.path} is no file but a pipe, socket or device. ${instead}`);
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  if (bytes > maxBytes) throw new ToolError(`${path} has more than 64 MB, too much to keep for undo. ${instead}`);
}
