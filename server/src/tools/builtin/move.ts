/**
 * The `move` tool: renames a file or folder so that undo moves it back.
 *
 * Not here: keeping the bytes and open documents (`context.move`). Easily got wrong: nothing is ever overwritten; a folder
 * is moved file by file, each recorded before it goes, so that a stop half-way leaves nothing that undo does not know.
 */
import * as z from "zod/mini";
import { isAbort, messageOf, ToolError } from "../../base/errors.ts";
import { defineTool, type ToolContext, type ToolOutput } from "../tool.ts";
import { counted } from "./text.ts";
import { accessOf, describeTrees, entryOf, findTarget, movedUri, subjectsOf, type Target } from "./tree.ts";

const path = z.string().check(z.minLength(1));
const schema = z.object({ from: path, to: path });

/** Moves files and folders. */
export const moveTool = defineTool({
  name: "move",
  kind: "move",
  description:
    "Rename or move a file or folder; `to` is its whole new path, which must be free. The user can undo it, unlike mv. " +
    "Imports of it are yours to edit.",
  schema,
  title: ({ from, to }) => `Move ${from} to ${to}`,
  // The card opens the first: where the file then is.
  paths: ({ from, to }) => [to, from],
  subjects: ({ from, to }, workspace) => subjectsOf(from, to, workspace),
  access: ({ from, to }, workspace) => accessOf([from, to], workspace),
  caution: async ({ from }, workspace, _changed, signal) => {
    try {
      const { tree } = await findTarget(from, workspace, signal);
      return `This moves ${describeTrees([{ ...tree, emptyFolders: 0 }])}`;
    } catch (error) {
      if (error instanceof ToolError) return `It would fail as things are: ${error.message}`;
      throw error;
    }
  },
  run,
});

async function run({ from, to }: z.output<typeof schema>, context: ToolContext): Promise<ToolOutput> {
  const { workspace, signal } = context;
  const source = await findTarget(from, workspace, signal);
  const place = await findPlace(source, from, to, context);
  const { files, isFolder, folders } = source.tree;
  let done = 0;
  try {
    for (const { uri } of files) {
      signal.throwIfAborted();
      const outcome = await context.move(uri, movedUri(uri, source.uri, place));
      if (outcome === "taken") throw taken(to);
      if (outcome === "moved") done += 1;
    }
  } catch (error) {
    if (isAbort(error) || done === 0) throw error;
    throw new ToolError(`${messageOf(error)} Before that, ${counted(done, "file")} of ${files.length} were moved.`, {
      cause: error,
    });
  }
  if (done === 0) throw new ToolError(`${from} was deleted meanwhile. Nothing was moved.`);
  // Folders that had nothing in them stay where they are: what they are for is not known.
  const emptied = folders.filter((folder) => files.some(({ uri }) => uri.startsWith(`${folder}/`)));
  for (const folder of emptied.toReversed()) await workspace.removeFolder?.(folder, signal);
  return { text: isFolder ? `Moved ${from} to ${to} (${counted(done, "file")}).` : `Moved ${from} to ${to}.` };
}

/** The URI of the new path. Throws `ToolError` when nothing can be put there. */
async function findPlace({ resolved, uri, tree }: Target, from: string, to: string, context: ToolContext) {
  const { workspace, signal } = context;
  const target = await workspace.resolve(to);
  const place = entryOf(target);
  if (place === uri) throw new ToolError(`"from" and "to" are the same path. Nothing was moved.`);
  if (place.startsWith(`${uri}/`)) throw new ToolError(`${from} cannot be moved into itself.`);
  if (tree.files.length === 0) throw new ToolError(`${from} has no files in it, so there is nothing to move.`);
  if (place.split("/").includes(".git")) throw new ToolError(`${to} belongs to git itself. Choose another path.`);
  // On a disk that ignores case, a file is in the way of its own new spelling; the workspace tells.
  const isRespelled = !tree.isFolder && target.fsPath === resolved.fsPath;
  if (!isRespelled && (await workspace.findTree?.(to, 1, signal))) throw taken(to);
  return place;
}

function taken(to: string): ToolError {
  return new ToolError(`${to} exists already and was not overwritten. Give another whole path, or delete it first.`);
}
