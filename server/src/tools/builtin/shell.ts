/**
 * The `shell` tool: runs a command in the workspace's root and gives its exit code and output.
 *
 * Not here: processes, the cap on output and ending the tree (the workspace); what may run beside it (`shellAccess.ts`);
 * what it destroys (`shellDamage.ts`).
 * Easily got wrong: an exit code other than 0 is a result, not a failure of the tool, but is marked as an error for the
 * model; so is a timeout.
 */
import * as z from "zod/mini";
import type { Clock } from "../../base/async.ts";
import { createPlainStream, plainText } from "../../text/terminal.ts";
import type { RunOutcome } from "../../workspace/workspace.ts";
import { defineTool, type Tool } from "../tool.ts";
import { onlyReads, shellAccess } from "./shellAccess.ts";
import { cautionOf, scopeOf } from "./shellDamage.ts";
import { headAndTail, oneLine } from "./text.ts";

const defaultTimeout = 120;
const maxTimeout = 600;

const schema = z.object({
  command: z.string().check(z.minLength(1)),
  timeoutSeconds: z.optional(
    z.int().check(z.minimum(1), z.maximum(maxTimeout), z.describe(`default ${defaultTimeout}, at most ${maxTimeout}`)),
  ),
  description: z.optional(z.string().check(z.describe("what it is for, in a few words, for the user"))),
});

/** Makes the tool; the clock tells how long commands took. */
export function createShellTool(deps: { readonly clock: Pick<Clock, "now"> }): Tool {
  return defineTool({
    name: "shell",
    kind: "execute",
    description:
      "Run a command in the workspace's root, without a terminal or input. Everything it starts ends with it. " +
      "Long output keeps its head and tail. To look at files use read, list and search instead.",
    schema,
    title: ({ command }) => `Run ${oneLine(command, 100)}`,
    detail: ({ command, description }) => (description ? `${command}\n\n${description}` : command),
    paths: () => [],
    subjects: async ({ command }) => [{ type: "command", command }],
    access: async ({ command }) => shellAccess(command),
    caution: async ({ command }, workspace, changed, signal) =>
      onlyReads(command) ? undefined : cautionOf(command, workspace, changed, signal),
    run: async ({ command, timeoutSeconds = defaultTimeout }, context) => {
      const startedAt = deps.clock.now();
      const toPlain = createPlainStream();
      const onOutput = (piece: string) => {
        const text = toPlain(piece);
        if (text !== "") context.report(text);
      };
      const run = () => context.workspace.run({ command, timeoutMs: timeoutSeconds * 1000, onOutput }, context.signal);
      const outcome =
        context.observe && !onlyReads(command)
          ? await context.observe(await scopeOf(command, context.workspace, context.signal), run)
          : await run();
      const seconds = (deps.clock.now() - startedAt) / 1000;
      const text = describe(outcome, seconds, timeoutSeconds, context.resultBytes);
      return { text, isError: outcome.timedOut || outcome.exitCode !== 0 };
    },
  });
}

function describe(outcome: RunOutcome, seconds: number, timeoutSeconds: number, limit: number | undefined): string {
  // Short times are left out: they tell nothing and would make equal results differ.
  const took = seconds >= 1 ? ` after ${seconds.toFixed(1)} s` : "";
  const plain = plainText(outcome.output).trimEnd();
  const output = limit === undefined ? plain : headAndTail(plain, limit);
  const whole = outcome.outputFile ? [`[the whole output is in ${outcome.outputFile}]`] : [];
  return [ending(outcome, took, timeoutSeconds), output === "" ? "(no output)" : output, ...whole].join("\n");
}

function ending(outcome: RunOutcome, took: string, timeoutSeconds: number): string {
  if (outcome.timedOut) {
    return `Ended by Hermes: it ran longer than ${timeoutSeconds} s. Give a longer timeoutSeconds, or run less at once.`;
  }
  if (outcome.exitCode === null) return `Ended by signal ${outcome.signal ?? "unknown"}${took}.`;
  return `Exit code ${outcome.exitCode}${took}.`;
}
