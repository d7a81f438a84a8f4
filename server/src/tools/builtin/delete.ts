/**
 * The `delete` tool: deletes files and whole folders so that undo can bring them back.
 *
 * Not here: keeping the bytes (`context.remove`). Easily got wrong: everything is looked at before anything is deleted, so
 * that a refusal leaves all of it; and of a link the link goes, not what it leads to.
 */
import * as z from "zod/mini";
import { isAbort, messageOf, ToolError } from "../../base/errors.ts";
import { defineTool, type ToolContext, type ToolOutput } from "../tool.ts";
import { counted, oneLine } from "./text.ts";
import { accessOf, describeTrees, findTarget, subjectsOf, type Target } from "./tree.ts";

/** Paths of one call. */
const maxPaths = 200;

const schema = z.object({
  paths: z.array(z.string().check(z.minLength(1))).check(z.minLength(1), z.maxLength(maxPaths)),
});

/** Deletes files and folders. */
export const deleteTool = defineTool({
  name: "delete",
  kind: "delete",
  description: "Delete files or whole folders. The user can undo it, unlike rm.",
  schema,
  title: ({ paths }) => `Delete ${oneLine(paths.join(", "), 100)}`,
  detail: ({ paths }) => paths.join("\n"),
  paths: ({ paths }) => paths,
  subjects: async ({ paths }, workspace) =>
    (await Promise.all(paths.map((path) => subjectsOf(path, undefined, workspace)))).flat(),
  access: ({ paths }, workspace) => accessOf(paths, workspace),
  caution: async ({ paths }, workspace, _changed, signal) => {
    try {
      const targets = await Promise.all(paths.map((path) => findTarget(path, workspace, signal)));
      return `This deletes ${describeTrees(targets.map(({ tree }) => tree))}`;
    } catch (error) {
      if (error instanceof ToolError) return `It would fail as things are: ${error.message}`;
      throw error;
    }
  },
  run,
});

async function run({ paths }: z.output<typeof schema>, context: ToolContext): Promise<ToolOutput> {
  const { workspace, signal } = context;
  const targets: Target[] = [];
  for (const path of new Set(paths)) targets.push(await findTarget(path, workspace, signal));
  const files = [...new Set(targets.flatMap(({ tree }) => tree.files.map(({ uri }) => uri)))];
  let done = 0;
  try {
    for (const uri of files) {
      signal.throwIfAborted();
      if (await context.remove(uri)) done += 1;
    }
  } catch (error) {
    if (isAbort(error) || done === 0) throw error;
    throw new ToolError(`${messageOf(error)} Before that, ${counted(done, "file")} of ${files.length} were deleted.`, {
      cause: error,
    });
  }
  for (const folder of targets.flatMap(({ tree }) => tree.folders).toReversed()) {
    await workspace.removeFolder?.(folder, signal);
  }
  const names = targets.map(({ resolved, tree }) => (tree.isFolder ? `${resolved.path}/` : resolved.path));
  return { text: `Deleted ${oneLine(names.join(", "), 1_000)} (${counted(done, "file")}).` };
}
