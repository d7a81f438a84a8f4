/**
 * The `edit` tool: replaces a text that occurs once in a file, or all its occurrences.
 *
 * Not here: how a text is found (`workspace/matchEdit.ts`) and how the change reaches disk or editor (`context.change`).
 * Easily got wrong: the match is always made on the text that is there now. When that is not what the model has seen,
 * only an exact match counts: a guess on lines that somebody has just changed would undo their work.
 */
import { LRUCache } from "lru-cache";
import * as z from "zod/mini";
import { isAbort, ToolError } from "../../base/errors.ts";
import { diffTexts } from "../../text/diff.ts";
import { toLf } from "../../text/lineEndings.ts";
import { matchEdit } from "../../text/matchEdit.ts";
import type { FileText, ResolvedPath } from "../../workspace/workspace.ts";
import { defineTool, type Tool, type ToolContext, type ToolOutput } from "../tool.ts";
import { clip, splitTextLines, unsavedNote } from "./text.ts";

/** How often an edit is tried again when the file changes under it. */
const maxTries = 4;
/** Lines of new text that a result shows. */
const shownLines = 12;
const contextLines = 2;

// Path first, then `old`: whoever watches the arguments arrive knows the file, then the place, then the new text.
const schema = z.object({
  path: z.string().check(z.minLength(1)),
  old: z.string().check(z.describe("text to replace, copied from the file with enough lines around to be unique")),
  new: z.string(),
  all: z.optional(z.boolean().check(z.describe("replace every occurrence"))),
});

type EditInput = z.output<typeof schema>;

/** Makes the tool. Each remembers the edits that failed, to say so when the same one comes again. */
export function createEditTool(): Tool {
  const failed = new LRUCache<string, true>({ max: 200 });
  return defineTool({
    name: "edit",
    kind: "edit",
    description: "Replace text in a file. Several edits, also of one file, can be called at once.",
    schema,
    title: ({ path }) => `Edit ${path}`,
    detail: describeEdit,
    paths: ({ path }) => [path],
    run: (input, context) => run(input, context, failed),
  });
}

async function run(input: EditInput, context: ToolContext, failed: LRUCache<string, true>): Promise<ToolOutput> {
  const resolved = await context.workspace.resolve(input.path);
  let file = await readForEdit(resolved, context);
  for (let tries = 1; tries <= maxTries; tries++) {
    const text = replace(input, resolved.path, file, context.lastSeen(resolved.uri), failed);
    const outcome = await context.change({ uri: resolved.uri, before: file, text });
    if (outcome.applied) {
      return { text: describeResult(resolved.path, file.text, text) + unsavedNote(file.source) };
    }
    if (!outcome.current)
      throw new ToolError(`${resolved.path} was deleted while it was being edited. Nothing was changed.`);
    file = outcome.current;
  }
  throw new ToolError(
    `${resolved.path} keeps changing while it is edited (${maxTries} tries). Nothing was changed; try again in a moment.`,
  );
}

async function readForEdit(resolved: ResolvedPath, context: ToolContext): Promise<FileText> {
  try {
    return await context.workspace.read(resolved.uri, context.signal);
  } catch (error) {
    if (isAbort(error) || !(error instanceof ToolError)) throw error;
    const next = context.lastSeen(resolved.uri)
      ? `You have read ${resolved.path} before, so it was deleted or replaced since you read it. Do not assume its old text.`
      : "To create a file use write.";
    throw new ToolError(`${error.message} ${next}`, { cause: error });
  }
}

/** The whole new text of the file. Throws `ToolError` when the place cannot be told for certain. */
function replace(
  input: EditInput,
  path: string,
  file: FileText,
  seen: FileText | undefined,
  failed: LRUCache<string, true>,
): string {
  const match = matchEdit(file.text, input.old, input.new, { all: input.all ?? false });
  const isStale = seen !== undefined && seen.version !== file.version;
  if (match.ok && (match.rung === "exact" || !isStale)) return match.text;
  const key = JSON.stringify([file.uri, file.version, input.old, input.new]);
  const again = failed.has(key) ? "This is the same edit that has already failed, on the same text. " : "";
  failed.set(key, true);
  if (match.ok) {
    throw new ToolError(
      `${path} has changed since you read it and "old" is no longer there exactly. Nothing was changed. ` +
        "Read it again, then edit.",
    );
  }
  const changed = isStale ? ` ${path} has changed since you read it.` : "";
  throw new ToolError(`${again}${describeMiss(path, input, match)}${changed}`);
}

function describeMiss(
  path: string,
  input: EditInput,
  miss: Extract<ReturnType<typeof matchEdit>, { readonly ok: false }>,
): string {
  if (input.old === "") return `"old" is empty, but ${path} is not. Copy the text to replace, or use write.`;
  switch (miss.reason) {
    case "no_change":
      return `"new" leaves ${path} exactly as it is: nothing was changed. If that is what you want, go on.`;
    case "ambiguous": {
      const lines = miss.lines ?? [];
      const where =
        lines.length > 0 ? ` at lines ${lines.slice(0, 10).join(", ")}${lines.length > 10 ? ", …" : ""}` : "";
      return `"old" occurs more than once in ${path}${where}. Nothing was changed. Add lines around it, or set all: true.`;
    }
    case "missing": {
      const { nearest } = miss;
      if (!nearest)
        return `"old" does not occur in ${path}, nor anything like it. Nothing was changed. Read the file again.`;
      return (
        `"old" does not occur in ${path}. Nothing was changed. The closest lines there, ${nearest.fromLine}-${nearest.toLine}, are:\n` +
        `${clip(toLf(nearest.text), 4_000)}\n[end of the closest lines; copy "old" from them]`
      );
    }
  }
}

function describeResult(path: string, before: string, after: string): string {
  const changes = diffTexts(before, after);
  const first = changes[0];
  const last = changes.at(-1);
  if (!first || !last) return `Edited ${path}.`;
  const ranges = changes.map(({ newStart, newCount }) =>
    newCount === 0
      ? `after line ${newStart}`
      : newCount === 1
        ? `line ${newStart + 1}`
        : `lines ${newStart + 1}-${newStart + newCount}`,
  );
  const places =
    ranges.length > 8 ? `${ranges.slice(0, 8).join(", ")} and ${ranges.length - 8} more places` : ranges.join(", ");
  const lines = splitTextLines(toLf(after));
  const from = Math.max(0, first.newStart - contextLines);
  const to = Math.min(lines.length, last.newStart + last.newCount + contextLines);
  const shown = lines.slice(from, Math.min(to, from + shownLines)).map((line) => clip(line, 400));
  const upTo = from + shown.length;
  if (shown.length === 0) return `Edited ${path}; it is empty now.`;
  return `Edited ${path} at ${places}. Lines ${from + 1}-${upTo} are now:\n${shown.join("\n")}\n[end of line ${upTo}]`;
}

function describeEdit({ old: before, new: after }: EditInput): string {
  const removed = splitTextLines(before).map((line) => `-${line}`);
  const added = splitTextLines(after).map((line) => `+${line}`);
  return [...removed, ...added].join("\n");
}
