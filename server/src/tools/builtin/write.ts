/**
 * The `write` tool: a new file, or the whole of one that the model has read in its present version.
 *
 * Not here: changing parts (`edit.ts`). Easily got wrong: a file that the model has not seen is never replaced, whatever
 * permission says, because nobody could tell what was lost; and a replaced file keeps its line endings and its mark.
 */
import * as z from "zod/mini";
import { ToolError } from "../../base/errors.ts";
import { fromLf, lineStyleOf } from "../../text/lineEndings.ts";
import type { FileText } from "../../workspace/workspace.ts";
import { defineTool, type ToolContext, type ToolOutput } from "../tool.ts";
import { counted, splitTextLines, unsavedNote } from "./text.ts";

const schema = z.object({
  path: z.string().check(z.minLength(1)),
  text: z.string().check(z.describe("the whole text")),
});

/** Writes whole files. */
export const writeTool = defineTool({
  name: "write",
  kind: "edit",
  description: "Create a file with its folders, or replace a whole file that you have read. To change parts use edit.",
  schema,
  title: ({ path }) => `Write ${path}`,
  detail: ({ text }) => text,
  paths: ({ path }) => [path],
  run,
});

async function run({ path, text }: z.output<typeof schema>, context: ToolContext): Promise<ToolOutput> {
  const resolved = await context.workspace.resolve(path);
  const seen = context.lastSeen(resolved.uri);
  const styled = seen ? fromLf(text, lineStyleOf(seen.text)) : text;
  let outcome = await context.change({ uri: resolved.uri, before: seen ?? null, text: styled });
  const wasDeleted = !outcome.applied && seen !== undefined && outcome.current === null;
  if (wasDeleted) outcome = await context.change({ uri: resolved.uri, before: null, text });
  if (!outcome.applied) throw new ToolError(describeRefusal(resolved.path, seen, outcome.current));
  const verb = wasDeleted ? "It had been deleted since you read it; created" : seen ? "Replaced" : "Created";
  const note = seen && !wasDeleted ? unsavedNote(seen.source) : "";
  return { text: `${verb} ${resolved.path} (${counted(splitTextLines(text).length, "line")}).${note}` };
}

function describeRefusal(path: string, seen: FileText | undefined, current: FileText | null): string {
  if (!current) return `${path} is being created and deleted by something else at the moment. Look again with list.`;
  return seen
    ? `${path} has changed since you read it, so it was not replaced. Read it again, then write or edit.`
    : `${path} exists and you have not read it, so it was not replaced. Read it first, then write or edit.`;
}
