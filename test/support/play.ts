/**
 * A local host over a temporary workspace, with the model double on the other end of a real vendor SDK.
 *
 * Not here: JSON-RPC; `lspClient.ts` has that. Easily got wrong: `await using` it, or the double's sockets and the
 * folders stay; on disposal the double's rules are checked, so a test fails when a request broke one.
 */
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Config } from "../../server/src/config.ts";
import { readConfig } from "../../server/src/config.ts";
import { createLocalHost, type LocalHost, type LocalHostOptions } from "../../server/src/main/local.ts";
import type { PromptOrigin, SessionEvent, SessionUpdate } from "../../server/src/protocol/events.ts";
import type { ApprovalChoice, PermissionRequest, SessionId } from "../../server/src/protocol/types.ts";
import { type DoubleOptions, type ModelDouble, type Script, startModelDouble } from "./modelDouble.ts";

/** The three wire formats, by the model id that a test asks for. */
export const wireFormats = {
  "anthropic-messages": "anthropic/claude-sonnet-5-5",
  "openai-responses": "openai/gpt-6.1-sol",
  "openai-chat": "openai/gpt-6.1-sol",
} as const;

/** A wire format. */
export type WireFormat = keyof typeof wireFormats;

/** What a play is made of. */
export interface PlayOptions {
  readonly script: Script | readonly Script[];
  readonly files?: { readonly [path: string]: string | Uint8Array };
  readonly wire?: WireFormat;
  /** Answers approvals; everything is allowed once when absent. */
  readonly ask?: (request: PermissionRequest, signal: AbortSignal) => Promise<ApprovalChoice>;
  readonly host?: Partial<LocalHostOptions>;
  readonly settings?: { readonly [name: string]: string | number | boolean | readonly string[] };
  /** How the model double is set up, besides its script. */
  readonly double?: Omit<DoubleOptions, "script">;
}

/** A running play. */
export interface Play extends AsyncDisposable {
  readonly double: ModelDouble;
  readonly local: LocalHost;
  readonly root: string;
  readonly home: string;
  readonly config: Config;
  readonly updates: SessionUpdate[];
  /** Stored events of all sessions, in the order in which they were announced. */
  readonly events: () => readonly SessionEvent[];
  /** Runs one turn in a new session, or in `sessionId`. */
  readonly prompt: (
    text: string,
    options?: {
      readonly sessionId?: SessionId;
      readonly signal?: AbortSignal;
      readonly origin?: PromptOrigin;
      readonly model?: string;
    },
  ) => Promise<{ readonly sessionId: SessionId } & Awaited<ReturnType<LocalHost["host"]["prompt"]>>>;
  readonly read: (path: string) => Promise<string>;
  /** Resolves when an update satisfies the test; updates so far count. */
  readonly until: (test: (update: SessionUpdate) => boolean) => Promise<SessionUpdate>;
}

/** Starts a play. */
export async function startPlay(options: PlayOptions): Promise<Play> {
  const folder = await mkdtemp(join(tmpdir(), "hermes-play-"));
  const root = join(folder, "work");
  const home = join(folder, "home");
  await mkdir(root);
  for (const [path, content] of Object.entries(options.files ?? {})) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
  }
  const double = await startModelDouble({ ...options.double, script: options.script });
  const wire = options.wire ?? "anthropic-messages";
  const environment = {
    PATH: process.env.PATH,
    HOME: folder,
    HERMES_HOME: home,
    ANTHROPIC_BASE_URL: double.anthropicBaseUrl,
    OPENAI_BASE_URL: double.openaiBaseUrl,
    ANTHROPIC_API_KEY: "test-key",
    OPENAI_API_KEY: "test-key",
  };
  const config = readConfig(environment, {
    "model.name": wireFormats[wire],
    "openai.api": wire === "openai-chat" ? "chat" : "responses",
    "localModels.detect": false,
    ...options.settings,
  });
  const updates: SessionUpdate[] = [];
  const watchers = new Set<(update: SessionUpdate) => void>();
  const local = await createLocalHost({
    config,
    environment,
    root,
    trusted: () => true,
    ask: options.ask ?? (async () => "allow_once"),
    onUpdate: (_, update) => {
      updates.push(update);
      for (const watcher of [...watchers]) watcher(update);
    },
    ...options.host,
  });
  return {
    double,
    local,
    root,
    home,
    config,
    updates,
    events: () => updates.filter((update): update is SessionEvent => "seq" in update),
    prompt: async (text, { sessionId, signal, origin, model } = {}) => {
      const id = sessionId ?? (await local.host.newSession({})).sessionId;
      const result = await local.host.prompt(
        { sessionId: id, prompt: [{ type: "text", text }], origin: origin ?? "panel", ...(model ? { model } : {}) },
        signal ?? new AbortController().signal,
      );
      return { sessionId: id, ...result };
    },
    read: (path) => readFile(join(root, path), "utf8"),
    until: (test) => {
      const past = updates.find(test);
      if (past) return Promise.resolve(past);
      return new Promise((resolve) => {
        const watcher = (update: SessionUpdate) => {
          if (!test(update)) return;
          watchers.delete(watcher);
          resolve(update);
        };
        watchers.add(watcher);
      });
    },
    [Symbol.asyncDispose]: async () => {
      await local.close();
      await double.close();
      await rm(folder, { recursive: true, force: true });
      double.assertClean();
    },
  };
}
