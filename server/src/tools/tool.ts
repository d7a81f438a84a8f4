/**
 * What a tool is. `defineTool` is the only way to make one.
 *
 * Not here: when a tool runs (`scheduler.ts`) and whether it may (`permission.ts`). Easily got wrong: `access` decides
 * both, so when unsure it answers "writes everything": slow is safe.
 */

import * as z from "zod/mini";
import en from "zod/v4/locales/en.js";
import type { CallId, Json, Location, ToolKind, ToolSpec, TurnId } from "../protocol/types.ts";
import type { ChangeScope, FileText, MoveOutcome, ResolvedPath, Version, Workspace } from "../workspace/workspace.ts";

/** What a call touches: file URIs, `dir/**` for everything below a folder, or `*` for anything at all. */
export interface Access {
  readonly reads: readonly string[];
  readonly writes: readonly string[];
}

/** What a tool gives back. */
export interface ToolOutput {
  /** For the model; within the caps that the tool states. */
  readonly text: string;
  /** Set when the call did not do what was asked although nothing broke (a command that exits with 1). */
  readonly isError?: boolean;
}

/** An edit after everything that follows it. */
export interface SettledEdit {
  /** The whole text that is there now. */
  readonly text: string;
  readonly formatted: boolean;
  /** What the editor says of this text, in words; absent where it is not asked. */
  readonly problems?: string;
}

/** What a running call may use. */
export interface ToolContext {
  readonly callId: CallId;
  readonly turnId: TurnId;
  readonly workspace: Workspace;
  readonly signal: AbortSignal;
  /** Bytes that a result should have at most, so that it fits the model's window; a tool's own cap may be smaller. */
  readonly resultBytes?: number;
  /** Shows output while the call runs. */
  readonly report: (text: string) => void;
  /** The file as this session last saw it: the base for an edit when the file has moved on since. */
  readonly lastSeen: (uri: string) => FileText | undefined;
  /** Remembers what the model has now been shown of a file. */
  readonly saw: (file: FileText) => void;
  /**
   * Writes through the workspace with the before-image stored first and the change recorded in the session. Counts as
   * having shown the model what is then there, if it had seen what was there before. Returns as `Workspace.swap` does.
   */
  readonly change: (change: {
    readonly uri: string;
    readonly before: FileText | null;
    readonly text: string | null;
  }) => Promise<
    | { readonly applied: true; readonly version: Version | null }
    | { readonly applied: false; readonly current: FileText | null }
  >;
  /**
   * Deletes a file or link, its bytes stored first and the change recorded. `false` when there is none. Throws `ToolError`
   * when its bytes cannot be stored, the disk refuses, or an editor holds unsaved changes to it.
   */
  readonly remove: (uri: string) => Promise<boolean>;
  /** Moves a file or link, stored and recorded alike, as `Workspace.moveFile` does; what was seen of it goes along. */
  readonly move: (from: string, to: string) => Promise<MoveOutcome>;
  /**
   * What follows a change that was applied: formats it, where the user formats on save, and asks for its problems. Never
   * rejects. Absent where nobody is there to ask.
   */
  readonly settle?: (change: Parameters<ToolContext["change"]>[0]) => Promise<SettledEdit>;
  /**
  /**
   * Runs what changes files without telling (a command): their bytes are stored before, and what has changed is recorded
   * as this call's after, also when it fails. Throws `ToolError`, without running it, when bytes cannot be stored.
   */
  readonly observe?: <Result>(scope: ChangeScope, run: () => Promise<Result>) => Promise<Result>;
}

/** A tool that the model can call. */
export interface Tool {
  readonly name: string;
  readonly kind: ToolKind;
  readonly spec: ToolSpec;
  /** Checks arguments; the error text names the field and what it should be, for the model to correct. */
  readonly parse: (
    input: Json,
  ) => { readonly ok: true; readonly call: ParsedCall } | { readonly ok: false; readonly message: string };
}

/** A call whose arguments are valid. */
export interface ParsedCall {
  /** One line for the card and the approval: `Edit src/parse.ts`. */
  readonly title: string;
  /** The whole command or new text, for the approval. */
  readonly detail: string;
  /** What permission rules match against: a path relative to the root, or a command. */
  readonly subjects: (workspace: Workspace) => Promise<readonly Subject[]>;
  readonly locations: (workspace: Workspace) => Promise<readonly Location[]>;
  readonly access: (workspace: Workspace) => Promise<Access>;
  /**
   * What the user should know before they allow it, or `undefined`. `changed` are the paths of files that the session has
   * changed.
   */
  readonly caution?: Caution;
  readonly run: (context: ToolContext) => Promise<ToolOutput>;
}

/** Looks at what a call could destroy, and says it in sentences. */
export type Caution = (
  workspace: Workspace,
  changed: readonly string[],
  signal: AbortSignal,
) => Promise<string | undefined>;

/** What a permission rule is matched against. */
export type Subject =
  | {
      readonly type: "path";
      readonly resolved: ResolvedPath;
      /** What is in the folder, where the call touches it all: rules that hold back look at each. */
      readonly below?: readonly ResolvedPath[];
    }
  | { readonly type: "command"; readonly command: string };

// `zod/mini` throughout: bundled, it starts in 11 ms where `zod` takes 33, and the two accept and say the same.
z.config(en());

/** The typed parts of a tool, before `defineTool` hides its input type. */
export interface ToolDefinition<Schema extends z.ZodMiniType> {
  readonly name: string;
  readonly kind: ToolKind;
  readonly description: string;
  readonly schema: Schema;
  readonly title: (input: z.output<Schema>) => string;
  readonly detail?: (input: z.output<Schema>) => string;
  /** Paths the call names, for permission, locations and the default access. */
  readonly paths: (input: z.output<Schema>) => readonly string[];
  readonly subjects?: (input: z.output<Schema>, workspace: Workspace) => Promise<readonly Subject[]>;
  readonly access?: (input: z.output<Schema>, workspace: Workspace) => Promise<Access>;
  readonly caution?: (input: z.output<Schema>, ...about: Parameters<Caution>) => ReturnType<Caution>;
  readonly run: (input: z.output<Schema>, context: ToolContext) => Promise<ToolOutput>;
}

/** Makes a `Tool`: derives its JSON Schema, checks arguments, and defaults access to the named paths by its kind. */
export function defineTool<Schema extends z.ZodMiniType>(definition: ToolDefinition<Schema>): Tool {
  return {
    name: definition.name,
    kind: definition.kind,
    spec: { name: definition.name, description: definition.description, inputSchema: toInputSchema(definition.schema) },
    parse: (input) => {
      const parsed = definition.schema.safeParse(withoutNulls(input));
      if (!parsed.success) {
        return { ok: false, message: `Invalid arguments for ${definition.name}. ${z.prettifyError(parsed.error)}` };
      }
      return { ok: true, call: toParsedCall(definition, parsed.data) };
    },
  };
}

/** JSON Schema with nothing in it that the vendors reject or that only costs tokens; the same bytes every time. */
function toInputSchema(schema: z.ZodMiniType): { readonly [key: string]: Json } {
  const { $schema: _, ...inputSchema } = z.toJSONSchema(schema, {
    io: "input",
    override: ({ jsonSchema }) => {
      // `z.int()` states the bounds of a double, in 19 digits each.
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
    },
  });
  return inputSchema as { [key: string]: Json };
}

/** Some models send `null` for an argument they leave out; no tool means anything by it. */
function withoutNulls(input: Json): Json {
  if (input === null || typeof input !== "object") return input;
  if (isList(input)) return input.map(withoutNulls);
  const given = Object.entries(input).filter(([, value]) => value !== null);
  return Object.fromEntries(given.map(([name, value]) => [name, withoutNulls(value)]));
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

function toParsedCall<Schema extends z.ZodMiniType>(
  definition: ToolDefinition<Schema>,
  input: z.output<Schema>,
): ParsedCall {
  const resolveAll = (workspace: Workspace) =>
    Promise.all(definition.paths(input).map((path) => workspace.resolve(path)));
  return {
    title: definition.title(input),
    detail: definition.detail?.(input) ?? "",
    subjects: async (workspace) =>
      definition.subjects?.(input, workspace) ??
      (await resolveAll(workspace)).map((resolved): Subject => ({ type: "path", resolved })),
    locations: async (workspace) => (await resolveAll(workspace)).map(({ uri }) => ({ uri })),
    access: async (workspace) => {
      if (definition.access) return definition.access(input, workspace);
      const uris = (await resolveAll(workspace)).map(({ uri }) => uri);
      return definition.kind === "read" || definition.kind === "search"
        ? { reads: uris, writes: [] }
        : { reads: uris, writes: uris };
    },
    caution: async (...about) => definition.caution?.(input, ...about),
    run: (context) => definition.run(input, context),
  };
}
