/**
 * Says whether two calls may run at the same time, from what each declares to read and write. Pure.
 *
 * Not here: how a tool finds out what it touches, and the waiting (`scheduler.ts`). Easily got wrong: a folder's
 * resource `dir/**` also covers `dir` itself, and resources are whole segments: `src/**` does not cover `src2/a`.
 */
import type { Access } from "./tool.ts";

/** Touches nothing: never in anyone's way. */
export const noAccess: Access = { reads: [], writes: [] };

/** Anything at all may be read and written: runs alone. */
export const fullAccess: Access = { reads: ["*"], writes: ["*"] };

/** True when one of the two writes what the other reads or writes, so that their order matters. Symmetric. */
export function conflicts(a: Access, b: Access): boolean {
  return anyOverlap(a.writes, b.reads) || anyOverlap(a.reads, b.writes) || anyOverlap(a.writes, b.writes);
}

/** The resource for everything below a folder, given the folder's URI. */
export function below(folderUri: string): string {
  return `${folderUri.replace(/\/+$/, "")}/**`;
}

function anyOverlap(these: readonly string[], those: readonly string[]): boolean {
  return these.some((one) => those.some((other) => overlaps(one, other)));
}

function overlaps(one: string, other: string): boolean {
  if (one === other || one === "*" || other === "*") return true;
  const oneFolder = folderOf(one);
  const otherFolder = folderOf(other);
  if (oneFolder !== undefined && contains(oneFolder, otherFolder ?? other)) return true;
  return otherFolder !== undefined && contains(otherFolder, oneFolder ?? one);
}

/** `file:///a` for `file:///a/**`; `undefined` for what is not a folder's resource. */
function folderOf(resource: string): string | undefined {
  if (resource === "**") return "";
  return resource.endsWith("/**") ? resource.slice(0, -"/**".length) : undefined;
}

function contains(folder: string, uri: string): boolean {
  return folder === "" || uri === folder || uri.startsWith(`${folder}/`);
}
