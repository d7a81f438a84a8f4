/**
 * What the user has open, as a prompt tells the model of it: the file in front, the others, and how many problems each has.
 *
 * Not here: finding it out (the client). Easily got wrong: it goes with the newest prompt and is frozen there, and is told
 * again only when it is different; so nothing that was sent before ever changes.
 */
import type { OpenFile } from "../protocol/methods.ts";
import type { Workspace } from "../workspace/workspace.ts";
import type { TurnRecord } from "./reduce.ts";

/** Files that are told of. */
const maxFiles = 20;

/**
 * The lines that go with a prompt; empty when they would say what the turns that are in the conversation were told last.
 * Files outside of the workspace and those that the agent may not see are left out.
 */
export async function openFilesContext(
  files: readonly OpenFile[],
  turns: readonly Pick<TurnRecord, "context" | "gone">[],
  workspace: Pick<Workspace, "resolve">,
): Promise<string> {
  const told = turns.findLast(({ context, gone }) => !gone && block.test(context));
  const lines: string[] = [];
  for (const { uri, isActive, errors, warnings } of files.slice(0, maxFiles)) {
    const { path, inside, ignored } = await workspace.resolve(uri);
    if (!inside || ignored) continue;
    const problems = [counted(errors, "error"), counted(warnings, "warning")].filter((words) => words !== "");
    const marks = [...(isActive ? ["in front"] : []), ...problems];
    lines.push(`- ${path}${marks.length > 0 ? ` (${marks.join(", ")})` : ""}`);
  }
  if (lines.length === 0 && !told) return "";
  const text = `<editor>\n${lines.length === 0 ? "No file is open." : `Open files:\n${lines.join("\n")}`}\n</editor>`;
  return told && block.exec(told.context)?.[0] === text ? "" : text;
}

const block = /^<editor>$.*?^<\/editor>$/ms;

function counted(count: number, word: string): string {
  if (count === 0) return "";
  return count === 1 ? `1 ${word}` : `${count} ${word}s`;
}
