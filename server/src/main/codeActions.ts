/**
 * Which code actions Hermes offers for a place in a document. Pure: a document's state in, LSP code actions out.
 *
 * Not here: what they do (`session/tasks.ts` composes their prompts). Easily got wrong: "Refactor selection…" needs words
 * from the user, so its command is the client's, which asks and then runs the task.
 */
import {
  type CodeAction,
  CodeActionKind,
  type Diagnostic,
  DiagnosticSeverity,
  type Range,
} from "vscode-languageserver";
import { refactorCommand, runTaskCommand, type TaskArguments } from "../protocol/tasks.ts";

/** Kinds that are announced to the client. */
export const codeActionKinds: readonly string[] = [
  CodeActionKind.QuickFix,
  CodeActionKind.RefactorRewrite,
  CodeActionKind.Empty,
];

/** What was asked: LSP's `textDocument/codeAction`, less what does not matter here. */
export interface CodeActionQuestion {
  readonly uri: string;
  readonly range: Range;
  readonly diagnostics: readonly Diagnostic[];
  /** Kinds that are wanted; everything when absent. */
  readonly only?: readonly string[];
}

/** Code actions for a place: fixes for its problems, then explain, then refactor when something is selected. */
export function codeActionsFor(question: CodeActionQuestion): CodeAction[] {
  const { uri, range, only } = question;
  const problems = question.diagnostics.filter(({ severity }) => severity !== DiagnosticSeverity.Hint);
  const isSelection = range.start.line !== range.end.line || range.start.character !== range.end.character;
  const actions: CodeAction[] = [];
  if (problems.length > 0) {
    const first = messageOf(problems[0]);
    const title = problems.length === 1 ? `Fix with Hermes: ${first}` : `Fix ${problems.length} problems with Hermes`;
    actions.push({
      ...action(title, CodeActionKind.QuickFix, {
        task: "fix",
        uri,
        range,
        diagnostics: problems.map(toTaskDiagnostic),
      }),
      diagnostics: [...problems],
    });
  }
  if (isSelection || problems.length > 0) {
    actions.push(action("Explain with Hermes", CodeActionKind.Empty, { task: "explain", uri, range }));
  }
  if (isSelection) {
    const title = "Refactor selection with Hermes…";
    const task: TaskArguments = { task: "refactor", uri, range, origin: "code_action" };
    actions.push({
      title,
      kind: CodeActionKind.RefactorRewrite,
      command: { title, command: refactorCommand, arguments: [task] },
    });
  }
  return actions.filter(({ kind = "" }) => !only || only.some((wanted) => isWithin(kind, wanted)));
}

function action(title: string, kind: string, task: TaskArguments): CodeAction {
  return {
    title,
    kind,
    command: {
      title,
      command: runTaskCommand,
      arguments: [{ ...task, origin: "code_action" } satisfies TaskArguments],
    },
  };
}

function isWithin(kind: string, wanted: string): boolean {
  return kind === wanted || wanted === "" || kind.startsWith(`${wanted}.`);
}

function messageOf(diagnostic: Diagnostic | undefined): string {
  const message = diagnostic?.message ?? "";
  const line = (typeof message === "string" ? message : message.value).split("\n", 1)[0] ?? "";
  return line.length > 60 ? `${line.slice(0, 59)}…` : line;
}

function toTaskDiagnostic({ range, message, severity, source }: Diagnostic) {
  return {
    range,
    message: typeof message === "string" ? message : message.value,
    ...(severity === undefined ? {} : { severity }),
    ...(source === undefined ? {} : { source }),
  };
}
