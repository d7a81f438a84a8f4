/**
 * The `read` tool: the text of several files or ranges in one call, within one budget that they share fairly.
 *
 * Not here: what may be read (`permission.ts`) and decoding (the workspace). Easily got wrong: line numbers are only
 * added when asked for. They cost about a sixth of the tokens, and edits match by text; the header says the range.
 */
import * as z from "zod/mini";
import { isAbort, messageOf, ToolError } from "../../base/errors.ts";
import { toLf } from "../../text/lineEndings.ts";
import type { FileText } from "../../workspace/workspace.ts";
import { defineTool, type ToolContext, type ToolOutput } from "../tool.ts";
import { clip, counted, headLines, shareOut, splitTextLines } from "./text.ts";

const maxFiles = 20;
const maxLines = 2_000;
const maxBytes = 64 * 1024;
/** Characters of one line; what is longer is machine-made, and one such line would push everything else out. */
const maxLineLength = 2_000;

const schema = z.object({
  files: z
    .array(
      z.object({
        path: z.string().check(z.minLength(1)),
        from: z.optional(z.int().check(z.minimum(1), z.describe("first line, from 1"))),
        to: z.optional(z.int().check(z.minimum(1), z.describe("last line"))),
      }),
    )
    .check(z.minLength(1), z.maxLength(maxFiles)),
  numbered: z.optional(z.boolean().check(z.describe("prefix each line with its number and a tab"))),
});

type ReadInput = z.output<typeof schema>;
type Range = ReadInput["files"][number];

/** A part of a file that is to be shown, or why there is none. */
type Selection =
  | {
      readonly ok: true;
      readonly file: FileText;
      readonly path: string;
      readonly total: number;
      readonly from: number;
      readonly lines: readonly string[];
    }
  | { readonly ok: false; readonly path: string; readonly message: string };

/** Reads files. */
export const readTool = defineTool({
  name: "read",
  kind: "read",
  description:
    "Read text files, whole or by line range; unsaved editor text included. Ask for all files you need in one call. " +
    "At most 2,000 lines or 64 KB in all; the rest is announced.",
  schema,
  title: ({ files }) => {
    const [first, ...others] = files.map(({ path }) => path);
    return `Read ${first}${others.length > 0 ? ` and ${others.length} more` : ""}`;
  },
  detail: ({ files }) =>
    files.map(({ path, from, to }) => (from || to ? `${path}:${from ?? 1}-${to ?? ""}` : path)).join("\n"),
  paths: ({ files }) => files.map(({ path }) => path),
  run,
});

async function run(input: ReadInput, context: ToolContext): Promise<ToolOutput> {
  const selections = await Promise.all(input.files.map((range) => select(range, context)));
  const shown = selections.map((selection) =>
    selection.ok ? selection.lines.map((line, at) => display(line, selection.from + at, input.numbered ?? false)) : [],
  );
  const lineShares = shareOut(
    shown.map((lines) => lines.length),
    maxLines,
  );
  const byteShares = shareOut(
    shown.map((lines) => byteLength(lines)),
    Math.min(maxBytes, context.resultBytes ?? maxBytes),
  );
  const sections = selections.map((selection, at) =>
    selection.ok
      ? section(selection, headLines((shown[at] ?? []).slice(0, lineShares[at]), byteShares[at] ?? 0).lines)
      : `== ${selection.path}\n${selection.message}`,
  );
  for (const selection of selections) if (selection.ok) context.saw(selection.file);
  return { text: sections.join("\n\n"), isError: selections.every(({ ok }) => !ok) };
}

async function select(range: Range, context: ToolContext): Promise<Selection> {
  try {
    const resolved = await context.workspace.resolve(range.path);
    const file = await context.workspace.read(resolved.uri, context.signal);
    const all = splitTextLines(toLf(file.text));
    const from = range.from ?? 1;
    const to = Math.min(range.to ?? all.length, all.length);
    if (range.to !== undefined && range.to < from) {
      return { ok: false, path: range.path, message: `The range ${from}-${range.to} is empty: "to" is before "from".` };
    }
    if (from > Math.max(all.length, 1)) {
      return {
        ok: false,
        path: range.path,
        message: `There is no line ${from}: the file has ${counted(all.length, "line")}.`,
      };
    }
    return { ok: true, file, path: resolved.path, total: all.length, from, lines: all.slice(from - 1, to) };
  } catch (error) {
    if (isAbort(error) || !(error instanceof ToolError)) throw error;
    return { ok: false, path: range.path, message: messageOf(error) };
  }
}

function display(line: string, number: number, numbered: boolean): string {
  const text = clip(line, maxLineLength);
  return numbered ? `${number}\t${text}` : text;
}

function byteLength(lines: readonly string[]): number {
  return lines.reduce((sum, line) => sum + Buffer.byteLength(line) + 1, 0);
}

function section(selection: Extract<Selection, { readonly ok: true }>, lines: readonly string[]): string {
  const { path, total, from, file } = selection;
  const to = from + lines.length - 1;
  const range =
    total === 0 ? "empty" : lines.length === total ? counted(total, "line") : `lines ${from}-${to} of ${total}`;
  const unsaved = file.source === "buffer" ? ", unsaved changes in the editor" : "";
  const left = selection.lines.length - lines.length;
  if (left > 0 && lines.length === 0) {
    return `== ${path} (${counted(total, "line")}${unsaved})\n[nothing shown: the limit of this call is used up; read it in another call]`;
  }
  const note = left > 0 ? [`[cut at the limit of this call; read on with from: ${to + 1}]`] : [];
  return [`== ${path} (${range}${unsaved})`, ...lines, ...note].join("\n");
}
