/**
 * Turns a code action or palette command into a prompt: what is asked, and the text the user pointed at.
 *
 * Not here: running it (`host.ts`) or offering it (`main/codeActions.ts`). Easily got wrong: the reference shows unsaved
 * text, because it is read through the workspace, and is frozen when the prompt is sent.
 */
import { assertNever, RequestError } from "../base/errors.ts";
import type { TaskArguments, TaskDiagnostic } from "../protocol/tasks.ts";
import type { PromptPart, ReferencePart } from "../protocol/types.ts";
import type { Workspace } from "../workspace/workspace.ts";

/** Lines of code shown around a diagnostic or an empty selection. */
const around = 12;
/** Characters of a reference; what is longer is cut, with a line that says so. */
const referenceLimit = 24_000;
/** Diagnostics named in one prompt. */
const diagnosticLimit = 50;

/** Builds the prompt of a task. Throws `RequestError` when the task lacks what it needs, and `ToolError` from reading. */
export async function composeTask(
  task: TaskArguments,
  workspace: Workspace,
  signal: AbortSignal,
): Promise<readonly PromptPart[]> {
  switch (task.task) {
    case "fix": {
      const place = await placeOf(task, workspace, signal);
      return [text(`Fix this problem in ${place.label}:\n\n${problems(task.diagnostics)}`), place];
    }
    case "fix_file": {
      const { path } = await workspace.resolve(required(task.uri, "a file"));
      return [
        text(
          `Fix all of these problems in ${path}, without changing what the code does otherwise:\n\n${problems(task.diagnostics)}`,
        ),
      ];
    }
    case "explain":
      return [
        text(
          "Explain this code: what it does, why it is written this way, and what is easy to get wrong. Do not change anything.",
        ),
        await placeOf(task, workspace, signal),
      ];
    case "refactor":
      return [
        text(
          `Refactor this code: ${required(task.instruction, "an instruction")}\n\nKeep its behaviour; update its callers and tests.`,
        ),
        await placeOf(task, workspace, signal),
      ];
    case "write_tests": {
      const { path } = await workspace.resolve(required(task.uri, "a file"));
      return [
        text(
          `Write tests for ${path}. Use the test framework, folder and style that this project already has; cover the edge cases; run them and make them pass. If a test shows a bug, say so and leave the code as it is.`,
        ),
      ];
    }
    case "review_changes":
      return [
        text(
          "Review my uncommitted changes below. Look for bugs, missing cases, missing tests and unclear names, most serious first, each with its path:line and a proposal. Read the files around the changes before you judge. Do not change anything.",
        ),
        await gitDiff(workspace, signal),
      ];
    case "ask": {
      const question = text(required(task.instruction, "a question"));
      return task.uri && task.range ? [question, await placeOf(task, workspace, signal)] : [question];
    }
    default:
      return assertNever(task.task);
  }
}

async function placeOf(task: TaskArguments, workspace: Workspace, signal: AbortSignal): Promise<ReferencePart> {
  const { uri, path } = await workspace.resolve(required(task.uri, "a file"));
  const lines = (await workspace.read(uri, signal)).text.split(/\r\n|\n|\r/);
  const start = task.range?.start ?? { line: 0, character: 0 };
  const end = task.range?.end ?? { line: lines.length - 1, character: 0 };
  const isSelection = start.line !== end.line || start.character !== end.character;
  const isProblem = task.task === "fix" || !isSelection;
  const from = Math.max(0, start.line - (isProblem ? around : 0));
  const lastLine = isSelection && end.character === 0 && end.line > start.line ? end.line - 1 : end.line;
  const to = Math.min(lines.length - 1, lastLine + (isProblem ? around : 0));
  const label = isProblem ? `${path}:${start.line + 1}` : `${path}:${from + 1}-${to + 1}`;
  const body = cut(lines.slice(from, to + 1).join("\n"));
  return { type: "reference", label, uri, text: `${path}, lines ${from + 1}-${to + 1}:\n\`\`\`\n${body}\n\`\`\`` };
}

async function gitDiff(workspace: Workspace, signal: AbortSignal): Promise<ReferencePart> {
  const outcome = await workspace.run(
    {
      command: "git --no-pager diff --no-ext-diff --no-textconv --no-color HEAD && git --no-pager status --short",
      timeoutMs: 20_000,
      onOutput: () => undefined,
    },
    signal,
  );
  if (outcome.exitCode !== 0) {
    throw new RequestError("no_git", `The changes could not be read from git: ${outcome.output.trim().slice(0, 300)}`);
  }
  if (!outcome.output.trim()) throw new RequestError("no_changes", "There are no uncommitted changes to review.");
  return { type: "reference", label: "uncommitted changes", text: `\`\`\`diff\n${cut(outcome.output)}\n\`\`\`` };
}

function problems(diagnostics: readonly TaskDiagnostic[] = []): string {
  if (diagnostics.length === 0) {
    throw new RequestError(
      "no_problems",
      "There are no problems here for Hermes to fix. Open the Problems view to see where there are.",
    );
  }
  const lines = diagnostics
    .slice(0, diagnosticLimit)
    .map(({ range, message, source }) => `- line ${range.start.line + 1}: ${message}${source ? ` (${source})` : ""}`);
  const more = diagnostics.length - lines.length;
  return more > 0 ? `${lines.join("\n")}\n- and ${more} more` : lines.join("\n");
}

function text(value: string): PromptPart {
  return { type: "text", text: value };
}

function cut(value: string): string {
  return value.length > referenceLimit
    ? `${value.slice(0, referenceLimit)}\n[cut: ${value.length - referenceLimit} more characters]`
    : value;
}

function required(value: string | undefined, what: string): string {
  if (!value?.trim())
    throw new RequestError("incomplete_task", `This task needs ${what}. Open a file in the editor and try again.`);
  return value;
}
