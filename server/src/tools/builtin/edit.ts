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
import type { FileText, ResolvedPath, Version } from "../../workspace/workspace.ts";
import { defineTool, type Tool, type ToolContext, type ToolOutput } from "../tool.ts";
import { clip, settledNote, splitTextLines, unsavedNote } from "./text.ts";

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

/** An edit that failed: on which text, and what was answered. */
interface FailedEdit {
  readonly version: Version;
  readonly isStale: boolean;
  readonly message: string;
  /** The current text nearest to what was meant, where the message does not have it. */
  readonly place: string;
}

type FailedEdits = LRUCache<string, FailedEdit>;

/** Makes the tool. Each remembers the edits that failed in a turn, so that the same one is not looked for again. */
export function createEditTool(): Tool {
  const failed: FailedEdits = new LRUCache({ max: 200 });
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

async function run(input: EditInput, context: ToolContext, failed: FailedEdits): Promise<ToolOutput> {
  const resolved = await context.workspace.resolve(input.path);
  let file = await readForEdit(resolved, context);
  for (let tries = 1; tries <= maxTries; tries++) {
    const text = replace(input, resolved.path, file, context, failed);
    const outcome = await context.change({ uri: resolved.uri, before: file, text });
    if (outcome.applied) {
      const settled = await context.settle?.({ uri: resolved.uri, before: file, text });
      const described = describeResult(resolved.path, file.text, settled?.text ?? text);
      return { text: described + unsavedNote(file.source) + settledNote(settled) };
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
  { turnId, lastSeen }: Pick<ToolContext, "turnId" | "lastSeen">,
  failed: FailedEdits,
): string {
  const seen = lastSeen(file.uri);
  const isStale = seen !== undefined && seen.version !== file.version;
  const key = JSON.stringify([turnId, file.uri, input.old, input.new, input.all ?? false]);
  const known = failed.get(key);
  if (known && known.version === file.version && known.isStale === isStale) throw failedAgain(known);
  const match = matchEdit(file.text, input.old, input.new, { all: input.all ?? false });
  if (match.ok && (match.rung === "exact" || !isStale)) return match.text;
  const message = match.ok
    ? `${path} has changed since you read it and "old" is no longer there exactly. Nothing was changed. ` +
      "Read it again, then edit."
    : describeMiss(path, input, match) + (isStale ? ` ${path} has changed since you read it.` : "");
  const failure = { version: file.version, isStale, message, place: placeOf(match, file.text) };
  failed.set(key, failure);
  throw known ? failedAgain(failure) : new ToolError(message);
}

function failedAgain({ message, place }: FailedEdit): ToolError {
  const again = "This is the same edit that has already failed in this turn. Do not try it again.";
  return new ToolError(`${again} ${message}${place}`);
}

function placeOf(match: ReturnType<typeof matchEdit>, text: string): string {
  if (match.ok || match.reason === "no_change" || match.nearest) return "";
  return showPlace(text, match.lines?.[0] ?? 1);
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

/** The current text around a line, to copy from. */
function showPlace(text: string, line: number): string {
  const lines = splitTextLines(toLf(text));
  if (lines.length === 0) return "";
  const from = Math.max(0, line - 1 - contextLines);
  const shown = lines.slice(from, from + shownLines).map((shownLine) => clip(shownLine, 400));
  const upTo = from + shown.length;
  return `\nLines ${from + 1}-${upTo} there are:\n${shown.join("\n")}\n[end of line ${upTo}]`;
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
