/**
 * The `search` tool: where a pattern occurs, grouped by file, with the lines around each hit.
 *
 * Not here: searching (the workspace, with ripgrep). Easily got wrong: hits that are close share their context, so that
 * no line is shown twice.
 */
import * as z from "zod/mini";
import type { SearchHit } from "../../workspace/workspace.ts";
import { below } from "../access.ts";
import { defineTool } from "../tool.ts";
import { clip, counted, headLines } from "./text.ts";

const maxHits = 300;
const maxBytes = 32 * 1024;
const maxLineLength = 400;
const defaultContext = 2;

const schema = z.object({
  pattern: z.string().check(z.minLength(1), z.describe("ripgrep regular expression")),
  path: z.optional(z.string().check(z.describe("folder or file; default the root"))),
  glob: z.optional(z.string().check(z.describe("e.g. *.ts"))),
  literal: z.optional(z.boolean().check(z.describe("pattern is plain text"))),
  ignoreCase: z.optional(z.boolean()),
  context: z.optional(z.int().check(z.minimum(0), z.maximum(20), z.describe("lines around a hit; default 2"))),
});

/** Searches file contents. */
export const searchTool = defineTool({
  name: "search",
  kind: "search",
  description: "Search file contents, unsaved editor text included. Gives line numbers and the code around each hit.",
  schema,
  title: ({ pattern, path }) => `Search ${JSON.stringify(clip(pattern, 60))}${path === undefined ? "" : ` in ${path}`}`,
  paths: ({ path }) => [path ?? "."],
  access: async ({ path }, workspace) => {
    const { uri } = await workspace.resolve(path ?? ".");
    return { reads: [below(uri)], writes: [] };
  },
  run: async ({ context: around = defaultContext, ...query }, context) => {
    const { pattern, path, glob, literal, ignoreCase } = query;
    const found = await context.workspace.search(
      {
        pattern,
        context: around,
        limit: maxHits,
        ...(path === undefined ? {} : { path }),
        ...(glob === undefined ? {} : { glob }),
        ...(literal === undefined ? {} : { literal }),
        ...(ignoreCase === undefined ? {} : { ignoreCase }),
      },
      context.signal,
    );
    if (found.hits.length === 0) return { text: nothingFound(query) };
    const groups = groupByFile(found.hits);
    const { lines, left } = headLines(
      [...groups.values()].flatMap(showFile),
      Math.min(maxBytes, context.resultBytes ?? maxBytes),
    );
    const cut = found.truncated || left > 0;
    const count = found.truncated
      ? `more than ${found.hits.length} hits; the first are in ${counted(groups.size, "file")}`
      : `${counted(found.hits.length, "hit")} in ${counted(groups.size, "file")}`;
    const note = cut ? ["[not all is shown; narrow it with path, glob or a longer pattern, or use less context]"] : [];
    return { text: [count, ...lines, ...note].join("\n") };
  },
});

function nothingFound(query: {
  readonly pattern: string;
  readonly literal?: boolean | undefined;
  readonly ignoreCase?: boolean | undefined;
  readonly glob?: string | undefined;
}): string {
  const hints = [
    ...(query.literal ? [] : ["literal: true if the pattern is plain text"]),
    ...(query.ignoreCase ? [] : ["ignoreCase: true"]),
    ...(query.glob === undefined ? [] : ["another glob"]),
  ];
  return `No hits. Try a shorter pattern${hints.length > 0 ? `, or ${hints.join(", or ")}` : ""}. Ignored files are not searched.`;
}

function groupByFile(hits: readonly SearchHit[]): Map<string, SearchHit[]> {
  const groups = new Map<string, SearchHit[]>();
  for (const hit of hits) {
    const group = groups.get(hit.path);
    if (group) group.push(hit);
    else groups.set(hit.path, [hit]);
  }
  return groups;
}

/** `12: hit`, `13- context`, and `--` where lines are left out. */
function showFile(hits: readonly SearchHit[]): string[] {
  const lines = new Map<number, string>();
  for (const hit of hits) {
    const first = hit.line - hit.before.length;
    const around = [
      ...hit.before.map((text, at) => ({ line: first + at, text })),
      ...hit.after.map((text, at) => ({ line: hit.line + 1 + at, text })),
    ];
    for (const { line, text } of around) if (!lines.has(line)) lines.set(line, `${line}- ${clip(text, maxLineLength)}`);
    lines.set(hit.line, `${hit.line}: ${clip(hit.text, maxLineLength)}`);
  }
  const shown: string[] = [`== ${hits[0]?.path ?? ""}`];
  let previous: number | undefined;
  for (const [line, text] of [...lines].toSorted(([a], [b]) => a - b)) {
    if (previous !== undefined && line > previous + 1) shown.push("--");
    shown.push(text);
    previous = line;
  }
  return shown;
}
