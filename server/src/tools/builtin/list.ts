/**
 * The `list` tool: the files and folders below a folder.
 *
 * Not here: what is ignored (the workspace). Easily got wrong: sizes are only shown where they matter, for files so
 * large that reading them whole would be a mistake.
 */
import * as z from "zod/mini";
import { below } from "../access.ts";
import { defineTool } from "../tool.ts";
import { headLines } from "./text.ts";

const maxEntries = 1_000;
const maxBytes = 32 * 1024;
const largeBytes = 64 * 1024;

const schema = z.object({
  path: z.optional(z.string().check(z.describe("folder; default the root"))),
  depth: z.optional(z.int().check(z.minimum(1), z.maximum(20), z.describe("default 2"))),
});

/** Lists a folder. */
export const listTool = defineTool({
  name: "list",
  kind: "read",
  description: "List files and folders (these end in /). Ignored files are left out.",
  schema,
  title: ({ path }) => `List ${path ?? "the workspace"}`,
  paths: ({ path }) => [path ?? "."],
  access: async ({ path }, workspace) => {
    const { uri } = await workspace.resolve(path ?? ".");
    return { reads: [below(uri)], writes: [] };
  },
  run: async ({ path = ".", depth = 2 }, context) => {
    const listed = await context.workspace.list(path, { depth, limit: maxEntries }, context.signal);
    const all = listed.entries.map((entry) =>
      entry.size !== undefined && entry.size >= largeBytes ? `${entry.path} (${kilobytes(entry.size)})` : entry.path,
    );
    if (all.length === 0) return { text: "The folder is empty, or everything in it is ignored." };
    const { lines, left } = headLines(all, Math.min(maxBytes, context.resultBytes ?? maxBytes));
    const cut = listed.truncated || left > 0;
    const note = cut ? [`[only the first ${lines.length} entries; list a folder below, or with less depth]`] : [];
    return { text: [...lines, ...note].join("\n") };
  },
});

function kilobytes(bytes: number): string {
  return bytes >= 1024 * 1024 ? `${(bytes / 1024 / 1024).toFixed(1)} MB` : `${Math.round(bytes / 1024)} KB`;
}
