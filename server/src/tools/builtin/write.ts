/**
 * The `write` tool: a new file, or the whole of one that the model has read in its present version.
 *
 * Not here: changing parts (`edit.ts`). Easily got wrong: a file that the model has not seen is never replaced, whatever
 * permission says, because nobody could tell what was lost; and a replaced file keeps its line endings and its mark.
 */
import { createHash } from "node:crypto";
import { LRUCache } from "lru-cache";
import * as z from "zod/mini";
import { ToolError } from "../../base/errors.ts";
import { fromLf, lineStyleOf, toLf } from "../../text/lineEndings.ts";
import type { FileText } from "../../workspace/workspace.ts";
import { defineTool, type Tool, type ToolContext, type ToolOutput } from "../tool.ts";
import { clip, counted, settledNote, splitTextLines, unsavedNote } from "./text.ts";

const schema = z.object({
  path: z.string().check(z.minLength(1)),
  text: z.string().check(z.describe("the whole text")),
});

/** Characters of a file's present text that a write which was refused again shows. */
const shownCharacters = 4_000;

/** Makes the tool. Each remembers the writes that were refused in a turn, to say so when the same one comes again. */
export function createWriteTool(): Tool {
  const refused: RefusedWrites = new LRUCache({ max: 200 });
  return defineTool({
    name: "write",
    kind: "edit",
    description:
      "Create a file with its folders, or replace a whole file that you have read. To change parts use edit.",
    schema,
    title: ({ path }) => `Write ${path}`,
    detail: ({ text }) => text,
    paths: ({ path }) => [path],
    run: (input, context) => run(input, context, refused),
  });
}

/** By turn, why, and text. */
type RefusedWrites = LRUCache<string, true>;

async function run(
  { path, text }: z.output<typeof schema>,
  context: ToolContext,
  refused: RefusedWrites,
): Promise<ToolOutput> {
  const resolved = await context.workspace.resolve(path);
  const seen = context.lastSeen(resolved.uri);
  const styled = seen ? fromLf(text, lineStyleOf(seen.text)) : text;
  let outcome = await context.change({ uri: resolved.uri, before: seen ?? null, text: styled });
  const wasDeleted = !outcome.applied && seen !== undefined && outcome.current === null;
  if (wasDeleted) outcome = await context.change({ uri: resolved.uri, before: null, text });
  if (!outcome.applied) {
    const refusal = describeRefusal(resolved.path, seen, outcome.current);
    const digest = createHash("sha256").update(text).digest("base64");
    const key = JSON.stringify([context.turnId, refusal, digest]);
    const again = refused.has(key);
    refused.set(key, true);
    throw new ToolError(again ? refusedAgain(refusal, seen && outcome.current) : refusal);
  }
  const settled = await context.settle?.({
    uri: resolved.uri,
    before: wasDeleted ? null : (seen ?? null),
    text: wasDeleted ? text : styled,
  });
  const verb = wasDeleted ? "It had been deleted since you read it; created" : seen ? "Replaced" : "Created";
  const note = seen && !wasDeleted ? unsavedNote(seen.source) : "";
  return {
    text: `${verb} ${resolved.path} (${counted(splitTextLines(settled?.text ?? text).length, "line")}).${note}${settledNote(settled)}`,
  };
}

/** Shows the present text only of a file that the model has been allowed to read. */
function refusedAgain(refusal: string, current: FileText | null | undefined): string {
  const shown = current ? `\nIt begins now:\n${clip(toLf(current.text), shownCharacters)}\n[end of what is shown]` : "";
  return `This is the same write that was already refused in this turn. Do not try it again as it is. ${refusal}${shown}`;
}

function describeRefusal(path: string, seen: FileText | undefined, current: FileText | null): string {
  if (!current) return `${path} is being created and deleted by something else at the moment. Look again with list.`;
  return seen
    ? `${path} has changed since you read it, so it was not replaced. Read it again, then write or edit.`
    : `${path} exists and you have not read it, so it was not replaced. Read it first, then write or edit.`;
}
