/**
 * What follows an edit: the editor's formatter, run off to the side, and then the problems of the text that is final.
 *
 * Not here: how an editor is asked (`workspace/editor.ts`). Easily got wrong: the edit has happened, so nothing here may
 * make its call fail; and the wait for problems is one for all edits of a step, because the model waits for it.
 */
import { isAbort } from "../base/errors.ts";
import { log } from "../base/trace.ts";
import { isFormatted } from "../text/userEdits.ts";
import type { SettledEdit, ToolContext } from "../tools/tool.ts";
import type { FileText, Problem, Workspace } from "../workspace/workspace.ts";

/** Problems that one result names at most, and the characters of each. */
const maxProblems = 10;
const maxMessage = 300;

/** What settling needs. `change` journals formatting as it does any change of the call. */
export interface AfterEditDeps {
  readonly workspace: Pick<Workspace, "formatted" | "problems">;
  /** The file as the call left it. */
  readonly written: (uri: string) => FileText | undefined;
  readonly change: ToolContext["change"];
  /** Milliseconds that may still be waited for problems; 0 when they are not asked for. */
  readonly waitMs: () => number;
}

/** Formats what was written and asks for its problems. Never rejects; a cancelled one says what is known by then. */
export async function settleEdit(
  deps: AfterEditDeps,
  { uri, before, text }: Parameters<ToolContext["change"]>[0],
  signal: AbortSignal,
): Promise<SettledEdit> {
  const wanted = text ?? "";
  try {
    await format(deps, uri, before?.text ?? null, signal);
    const file = deps.written(uri);
    const final = file?.text ?? wanted;
    const formatted = isFormatted(wanted, final);
    const waitMs = deps.waitMs();
    if (!file || !deps.workspace.problems || waitMs === 0) return { text: final, formatted };
    const problems = await deps.workspace.problems(file, waitMs, signal);
    return { text: final, formatted, problems: describeProblems(problems) };
  } catch (error) {
    if (!isAbort(error)) log("warn", "What follows an edit failed", error);
    return { text: deps.written(uri)?.text ?? wanted, formatted: false };
  }
}

async function format(deps: AfterEditDeps, uri: string, before: string | null, signal: AbortSignal): Promise<void> {
  const file = deps.written(uri);
  if (!file) return;
  const formatted = await deps.workspace.formatted?.(file, before, signal);
  // When the file has moved on meanwhile nothing is formatted: the user is at work there.
  if (formatted != null) await deps.change({ uri, before: file, text: formatted });
}

function describeProblems(problems: readonly Problem[] | undefined): string {
  if (!problems) return "Problems: not known yet.";
  if (problems.length === 0) return "No problems reported for this version.";
  const ordered = problems.toSorted((a, b) => rank(a) - rank(b) || a.line - b.line);
  const shown = ordered.slice(0, maxProblems).map(({ severity, line, message }) => {
    const flat = message.replaceAll(/\s+/g, " ").trim();
    return `- ${severity}, line ${line}: ${flat.length > maxMessage ? `${flat.slice(0, maxMessage)}…` : flat}`;
  });
  const more = ordered.length - shown.length;
  return ["Problems now:", ...shown, ...(more > 0 ? [`and ${more} more`] : [])].join("\n");
}

function rank({ severity }: Problem): number {
  return severity === "error" ? 0 : 1;
}
