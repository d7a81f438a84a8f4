/**
 * What an answer rests on, and whether it still holds: makes the calls of its turn again and compares what they show.
 *
 * Not here: what is done about it (`answerCache.ts`). Easily got wrong: a digest of the files alone would miss a search
 * that now finds more, or a file that was not there; so every call is made again, and only calls that read and that
 * nobody needs to be asked about.
 */
import { isAbort, ToolError } from "../base/errors.ts";
import type { CallId, Json, TurnId } from "../protocol/types.ts";
import { wellFormed } from "../text/wellFormed.ts";
import { decidePermission, type PermissionRule } from "../tools/permission.ts";
import type { Registry } from "../tools/registry.ts";
import type { ToolContext } from "../tools/tool.ts";
import type { Workspace } from "../workspace/workspace.ts";
import type { CallEvidence } from "./entry.ts";
import { digestOf } from "./identity.ts";

/** What looking again needs. */
export interface EvidenceDeps {
  readonly workspace: Workspace;
  /** Makes tools that remember nothing. */
  readonly createRegistry: () => Registry;
  readonly permissions: { readonly rules: () => readonly PermissionRule[] };
  readonly trusted: () => boolean;
}

/** A call as a turn made it, and what the model saw of it. */
export interface MadeCall {
  readonly name: string;
  readonly input: Json;
  readonly text: string;
}

/** Calls of an answer that is kept; making more of them again would take too long. */
const maxCalls = 64;

/** The evidence of a turn; `undefined` when it cannot be had: a call did more than read, or already shows something else. */
export async function gatherEvidence(
  deps: EvidenceDeps,
  calls: readonly MadeCall[],
  signal: AbortSignal,
): Promise<readonly CallEvidence[] | undefined> {
  if (calls.length > maxCalls) return undefined;
  const registry = deps.createRegistry();
  const gathered: CallEvidence[] = [];
  for (const made of calls) {
    const evidence = await look(deps, registry, made, signal);
    if (evidence?.result !== digestOf(made.text)) return undefined;
    gathered.push(evidence);
  }
  return gathered;
}

/** Whether every call would show the same now, and every file that was read is the same from its first to its last line. */
export async function stillHolds(
  deps: EvidenceDeps,
  evidence: readonly CallEvidence[],
  signal: AbortSignal,
): Promise<boolean> {
  const registry = deps.createRegistry();
  for (const then of evidence) {
    const now = await look(deps, registry, then, signal);
    if (now?.result !== then.result) return false;
    const uris = Object.keys(then.files);
    if (uris.length !== Object.keys(now.files).length) return false;
    if (uris.some((uri) => now.files[uri] !== then.files[uri])) return false;
  }
  return true;
}

async function look(
  deps: EvidenceDeps,
  registry: Registry,
  { name, input }: { readonly name: string; readonly input: Json },
  signal: AbortSignal,
): Promise<CallEvidence | undefined> {
  const tool = registry.get(name);
  if (!tool || !(tool.kind === "read" || tool.kind === "search")) return undefined;
  const parsed = tool.parse(input);
  if (!parsed.ok) return undefined;
  const question = { tool: name, kind: tool.kind, subjects: await parsed.call.subjects(deps.workspace) };
  const policy = { rules: deps.permissions.rules(), trusted: deps.trusted() };
  if (decidePermission(question, policy).decision !== "allow") return undefined;
  const files: Record<string, string> = {};
  const refuse = () => Promise.reject(new ToolError("Nothing is changed while an answer is checked."));
  const context: ToolContext = {
    callId: "look" as CallId,
    turnId: "look" as TurnId,
    workspace: deps.workspace,
    signal,
    report: () => undefined,
    lastSeen: () => undefined,
    saw: (file) => {
      files[file.uri] = digestOf(file.text);
    },
    change: refuse,
    remove: refuse,
    move: refuse,
  };
  const text = await parsed.call.run(context).then(
    (output) => output.text,
    (error: unknown) => {
      if (error instanceof ToolError && !isAbort(error)) return error.message;
      throw error;
    },
  );
  // The journal holds well-formed text, and so does what the model was shown.
  return { name, input, result: digestOf(wellFormed(text)), files };
}
