/**
 * Runs one tool call as a session would, over any workspace: the only place where tests of tools touch their API.
 *
 * Not here: the scheduler and permission. Easily got wrong: what the session has seen is kept between calls, as in a
 * session, so a test reads first where a person's session would have.
 */
import { ToolError } from "../../../server/src/base/errors.ts";
import type { CallId, Json, TurnId } from "../../../server/src/protocol/types.ts";
import { createBuiltinTools } from "../../../server/src/tools/builtin/builtinTools.ts";
import { createRegistry } from "../../../server/src/tools/registry.ts";
import type { ParsedCall, ToolContext } from "../../../server/src/tools/tool.ts";
import { digestOf } from "../../../server/src/workspace/fileBytes.ts";
import type { FileText, Workspace } from "../../../server/src/workspace/workspace.ts";

/** What a call gave: the text for the model, with `error: ` in front when it is marked as one. */
export interface ToolSession {
  readonly call: (name: string, input: Json) => Promise<string>;
  readonly parse: (name: string, input: Json) => ParsedCall;
  /** The calls that follow belong to the next turn. */
  readonly startTurn: () => void;
  /** Everything that running calls have shown so far. */
  readonly reported: () => string;
  readonly seen: (uri: string) => FileText | undefined;
}

/** Makes a session with all built-in tools; `now` is the clock of `shell`. */
export function createToolSession(workspace: Workspace, now: () => number = () => 0): ToolSession {
  const registry = createRegistry(createBuiltinTools({ clock: { now } }));
  const seen = new Map<string, FileText>();
  let reported = "";
  let turn = 1;
  const { signal } = new AbortController();
  const context: ToolContext = {
    callId: "call-1" as CallId,
    get turnId() {
      return `turn-${turn}` as TurnId;
    },
    workspace,
    signal,
    report: (text) => {
      reported += text;
    },
    lastSeen: (uri) => seen.get(uri),
    saw: (file) => void seen.set(file.uri, file),
    change: async ({ uri, before, text }) => {
      const outcome = await workspace.swap(uri, before?.version ?? null, text, signal);
      if (!outcome.applied) return { applied: false, current: outcome.current };
      if (outcome.file) seen.set(uri, outcome.file);
      else seen.delete(uri);
      return { applied: true, version: outcome.file?.version ?? null };
    },
    remove: async (uri) => {
      const file = await workspace.readBytes?.(uri, signal);
      return file ? (await workspace.swapBytes?.(uri, digestOf(file.bytes), null, signal)) === true : false;
    },
    move: async (from, to) => (await workspace.moveFile?.(from, to, signal)) ?? "missing",
  };
  const parse = (name: string, input: Json): ParsedCall => {
    const tool = registry.get(name);
    if (!tool) throw new Error(`There is no tool ${name}.`);
    const parsed = tool.parse(input);
    if (!parsed.ok) throw new ToolError(parsed.message);
    return parsed.call;
  };
  return {
    parse,
    startTurn: () => {
      turn += 1;
    },
    call: async (name, input) => {
      try {
        const output = await parse(name, input).run(context);
        return output.isError ? `error: ${output.text}` : output.text;
      } catch (error) {
        if (error instanceof ToolError) return `error: ${error.message}`;
        throw error;
      }
    },
    reported: () => reported,
    seen: (uri) => seen.get(uri),
  };
}
