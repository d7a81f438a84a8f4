/**
 * The command that runs a task: what code actions and palette commands send, by LSP's execute command.
 *
 * Not here: the prompts of tasks (`session/tasks.ts`). Easily got wrong: positions are LSP's, from 0, while those that models
 * and people are shown count from 1.
 */
import type { PromptOrigin } from "./events.ts";
import type { SessionId } from "./types.ts";

/** The LSP command that runs a task: code actions carry it, and palette commands send it. */
export const runTaskCommand = "hermes.runTask";

/** The client's command that asks how to refactor and then runs the task it was given; its argument is `TaskArguments`. */
export const refactorCommand = "hermes.refactorSelection";

/** A task that code actions and palette commands start. */
export type TaskName = "fix" | "fix_file" | "explain" | "refactor" | "write_tests" | "review_changes" | "ask";

/** The single argument of `hermes.runTask`. Positions are LSP's, from 0. */
export interface TaskArguments {
  readonly task: TaskName;
  readonly uri?: string;
  readonly range?: TaskRange;
  readonly diagnostics?: readonly TaskDiagnostic[];
  /** What the user typed, for `ask` and `refactor`. */
  readonly instruction?: string;
  /** The session to continue; a new one when absent. */
  readonly sessionId?: SessionId;
  /** Where it was started; `command` when absent. */
  readonly origin?: PromptOrigin;
}
/** An LSP range. */
export interface TaskRange {
  readonly start: { readonly line: number; readonly character: number };
  readonly end: { readonly line: number; readonly character: number };
}
/** An LSP diagnostic, as far as a task needs it. */
export interface TaskDiagnostic {
  readonly range: TaskRange;
  readonly message: string;
  readonly severity?: number;
  readonly source?: string;
}
/** What executing `hermes.runTask` returns, as soon as the turn is under way. */
export interface RunTaskResult {
  readonly sessionId: SessionId;
}
