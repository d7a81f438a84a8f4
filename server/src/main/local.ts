/**
 * A host on this machine: the one place where the editor's and the terminal's hosts get their adapters
 * and settings.
 *
 * Not here: how requests arrive (`lsp.ts`, `cliCommands.ts`). Easily got wrong: nothing that the first model request
 * does not need may be loaded or awaited before it.
 */
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { type Clock, systemClock } from "../base/async.ts";
import { errorCode, messageOf } from "../base/errors.ts";
import { log } from "../base/trace.ts";
import { AnswerCache, type CachePolicy } from "../cache/answerCache.ts";
import { type Config, commandEnvironment, type Environment } from "../config.ts";
import { AgentHost, type HostDeps, type WarmUpPolicy } from "../host.ts";
import { withBudget } from "../model/budget.ts";
import type { Embedder } from "../model/embedder.ts";
import { createOpenAIEmbedder } from "../model/openaiEmbeddings.ts";
import { TokenCounts } from "../model/tokens.ts";
import type { SessionUpdate } from "../protocol/events.ts";
import type { ListModelsResult } from "../protocol/methods.ts";
import type { PendingFile } from "../protocol/review.ts";
import type { ApprovalChoice, BudgetChoice, BudgetQuestion, PermissionRequest, SessionId } from "../protocol/types.ts";
import type { CompactionPolicy } from "../session/compactPlan.ts";
import { createCacheFiles } from "../storage/cacheFiles.ts";
import { createFormerCellStore } from "../storage/formerCells.ts";
import { createJournalStore } from "../storage/journal.ts";
import { createRuleStore } from "../storage/ruleStore.ts";
import { Speeds } from "../storage/speeds.ts";
import { Spending } from "../storage/spending.ts";
import { createBuiltinTools } from "../tools/builtin/builtinTools.ts";
import { type PermissionRule, type PermissionWord, parseRule } from "../tools/permission.ts";
import { createRegistry } from "../tools/registry.ts";
import { createDiskWorkspace } from "../workspace/disk.ts";
import { createEditorWorkspace, type EditorPort } from "../workspace/editor.ts";
import { createNotebookWorkspace } from "../workspace/notebook.ts";
import { createOpenNotebooks, type NotebookPort } from "../workspace/openNotebooks.ts";
import { LocalLimits, readLimits } from "./limits.ts";
import { createLocalModels, type LocalModels } from "./models.ts";

/** What a local host is made of. */
export interface LocalHostOptions {
  readonly config: Config;
  readonly environment: Environment;
  /** Absolute path of the workspace folder. */
  readonly root: string;
  readonly trusted: () => boolean;
  readonly ask: (request: PermissionRequest, signal: AbortSignal) => Promise<ApprovalChoice>;
  /** Asks the user at a limit; absent where nobody can be asked. */
  readonly askBudget?: (question: BudgetQuestion, signal: AbortSignal) => Promise<BudgetChoice>;
  readonly onUpdate: (sessionId: SessionId, update: SessionUpdate) => void;
  readonly onReview?: (sessionId: SessionId, files: readonly PendingFile[]) => void;
  readonly onModelsChanged?: (list: ListModelsResult) => void;
  /** Told of settings that are left out because of what is wrong with them. */
  readonly onProblem?: (problem: string) => void;
  /** Rules for this process only. */
  readonly extraRules?: readonly PermissionRule[];
  /** The editor's open documents, where there is an editor. */
  readonly editor?: EditorPort;
  /** The editor's open notebooks, where it has any. */
  readonly notebooks?: NotebookPort;
  /** What time it is for prompts and events; the machine's clock when absent. */
  readonly clock?: Clock;
  readonly ripgrepPath?: string;
  /** Globs that hide files from the agent, besides ignore files. */
  readonly exclude?: readonly string[];
}

/** A host and what can be changed about it while it runs. */
export interface LocalHost {
  readonly host: AgentHost;
  readonly models: LocalModels;
  readonly spending: Spending;
  readonly limits: LocalLimits;
  /** Applies changed settings at once. */
  configure(config: Config): void;
  close(): Promise<void>;
}

/** Builds a host. Rejects when its folder in the user's home cannot be used. */
export async function createLocalHost(options: LocalHostOptions): Promise<LocalHost> {
  const { root, environment, clock = systemClock } = options;
  let { config } = options;
  const onProblem = (problem: string) => {
    log("warn", problem);
    options.onProblem?.(problem);
  };
  let settingRules = readRules(config, onProblem);
  tellMissingEmbedder(config, onProblem);
  const ruleStore = createRuleStore(join(config.home, "permissions.json"), root);
  await ruleStore.load();
  const rules = () => [
    ...settingRules,
    ...(options.extraRules ?? []),
    ...ruleStore.rules().map((rule) => parseRule(rule, "allow")),
  ];
  const spending = new Spending({
    folder: join(config.home, "spending"),
    now: clock.now,
    dayOf: localDay,
    createId,
  });
  const limits = new LocalLimits(spending, () => readLimits(config));
  const speeds = new Speeds({ path: join(config.home, "speeds.json"), now: systemClock.now });
  const tokens = new TokenCounts();
  const models = createLocalModels({
    config,
    clock,
    tokens,
    budget: withBudget({ ledger: spending, limits: () => readLimits(config) }),
    speeds,
    moneyLeft: (sessionId) => limits.moneyLeft(sessionId),
    onProblem,
    ...(options.onModelsChanged ? { onDidChange: options.onModelsChanged } : {}),
  });
  const disk = createDiskWorkspace({
    root,
    outputDir: join(config.home, "output"),
    environment: commandEnvironment(environment),
    createId,
    exclude: () => [...(options.exclude ?? []), ...deniedReads(rules())],
    ...(options.ripgrepPath === undefined ? {} : { editorRipgrepPath: options.ripgrepPath }),
    ...(options.editor?.encodingOf ? { encodingOf: options.editor.encodingOf } : {}),
  });
  const files = options.editor ? createEditorWorkspace(disk, options.editor) : disk;
  const host = new AgentHost({
    store: createJournalStore({
      dir: config.home,
      clock,
      blobQuota: () => config.settings["checkpoints.diskSpace"] * 1024 * 1024,
    }),
    workspace: createNotebookWorkspace(options.notebooks ? createOpenNotebooks(files, options.notebooks) : files, {
      formerCells: createFormerCellStore(join(config.home, "notebooks")),
      search: disk,
    }),
    createRegistry: () => createRegistry(createBuiltinTools({ clock })),
    models,
    tokens,
    permissions: {
      rules,
      add: (rule) => ruleStore.add(rule),
    },
    answers: createAnswers(() => config, clock),
    ask: options.ask,
    ...(options.askBudget
      ? { budget: { ask: options.askBudget, raise: (whose, raise) => limits.raise(whose, raise) } }
      : {}),
    maxTurnMs: () => Math.round(config.settings["budget.turn.minutes"] * 60_000),
    onUpdate: options.onUpdate,
    ...(options.onReview ? { onReview: options.onReview } : {}),
    trusted: options.trusted,
    compaction: () => compactionPolicy(config),
    maxSteps: () => config.settings["turn.maxSteps"],
    warmUp: () => config.settings["promptCache.warmUp"] as WarmUpPolicy,
    concurrency: () =>
      config.settings["execution.parallel.enabled"] ? config.settings["execution.parallel.maxConcurrentTools"] : 1,
    diagnosticsWaitMs: () => config.settings["edits.diagnosticsWaitMs"],
    clock,
    createId,
    platform: process.platform,
    pid: process.pid,
    isAlive,
  });
  return {
    host,
    models,
    spending,
    limits,
    configure: (changed) => {
      const { "permissions.rules": rulesBefore, "cache.type": cacheBefore } = config.settings;
      const limitsBefore = readLimits(config);
      config = changed;
      if (changed.settings["cache.type"] !== cacheBefore) tellMissingEmbedder(changed, onProblem);
      // Read again only when they have changed: what is wrong in them is told each time.
      if (!isDeepStrictEqual(rulesBefore, changed.settings["permissions.rules"])) {
        settingRules = readRules(changed, onProblem);
      }
      models.configure(changed);
      if (!isDeepStrictEqual(limitsBefore, readLimits(changed))) host.limitsChanged();
    },
    close: async () => {
      await host.close();
      await speeds.flush();
    },
  };
}

/** Ids that sort by the time they were made. */
function createId(): string {
  return `${Date.now().toString(36)}-${randomUUID().slice(0, 8)}`;
}

/** The day of a time as the user's calendar has it. */
export function localDay(at: number): string {
  const day = new Date(at);
  const two = (value: number) => String(value).padStart(2, "0");
  return `${day.getFullYear()}-${two(day.getMonth() + 1)}-${two(day.getDate())}`;
}

function compactionPolicy({ settings }: Config): CompactionPolicy {
  return {
    strategy: settings["context.summaryStrategy"] as CompactionPolicy["strategy"],
    maxSteps: settings["context.maxHistorySteps"],
    pruneSimilar: settings["context.pruneSimilarResults"],
  };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === "EPERM";
  }
}

/** Bytes of all kept answers on disk. */
const maxAnswerBytes = 32 * 1024 * 1024;
/** Milliseconds without use after which an answer goes, in whichever folder: the longest time that can be set. */
const maxAnswerAgeMs = 30 * 24 * 60 * 60 * 1000;

/** The cache of answers, as the settings are at each request. */
function createAnswers(config: () => Config, clock: Clock): Required<HostDeps>["answers"] {
  const policy = (): CachePolicy => {
    const { settings } = config();
    return {
      type: settings["cache.enabled"] ? (settings["cache.type"] as CachePolicy["type"]) : "off",
      ttlMs: settings["cache.ttl"] * 1000,
      maxEntries: settings["cache.maxSize"],
      threshold: settings["cache.similarThreshold"],
      chat: settings["cache.chat"],
    };
  };
  const limits = () => ({ entries: policy().maxEntries, bytes: maxAnswerBytes, ageMs: maxAnswerAgeMs });
  const cache = new AnswerCache({
    files: createCacheFiles(join(config().home, "answers"), limits, clock.now),
    policy,
    embedder: () => embedderOf(config()),
    now: clock.now,
  });
  return { cache, servers: () => [{ ...config().baseUrls }, config().settings["openai.api"]] };
}

/** Says so where other words are to be answered and nothing can find them. */
function tellMissingEmbedder({ settings }: Config, onProblem: (problem: string) => void): void {
  if (!settings["cache.enabled"] || settings["cache.type"] !== "semantic" || settings["cache.embedder.baseUrl"]) return;
  onProblem(
    "hermes.cache.type is semantic, but no embedding server is set, so only exactly the same questions are answered from before. Set hermes.cache.embedder.baseUrl, for example to http://127.0.0.1:11434/v1.",
  );
}

/** OpenAI's key goes to nobody but who is given it anyway. */
function embedderOf({ settings, baseUrls, credentials }: Config): Embedder | undefined {
  const baseUrl = settings["cache.embedder.baseUrl"];
  if (!baseUrl) return undefined;
  const isOpenAI = baseUrl === (baseUrls.openai ?? "https://api.openai.com/v1");
  return createOpenAIEmbedder({
    baseUrl,
    model: settings["cache.embedder.model"],
    ...(isOpenAI && credentials.openai ? { apiKey: credentials.openai } : {}),
  });
}

/** Rules from settings: `allow shell(npm test)`. A malformed one is left out, and told: it may have been meant to deny. */
function readRules(config: Config, onProblem: (problem: string) => void): readonly PermissionRule[] {
  return config.settings["permissions.rules"].flatMap((line) => {
    const [, word, rule] = /^(allow|ask|deny)\s+(.+)$/s.exec(line.trim()) ?? [];
    try {
      if (word === undefined || rule === undefined) throw new Error("it must begin with allow, ask or deny");
      return [parseRule(rule, word as PermissionWord)];
    } catch (error) {
      onProblem(`The permission rule "${line}" in hermes.permissions.rules is left out: ${messageOf(error)}`);
      return [];
    }
  });
}

/** Paths that may not be read are not to be found by search either, so they are hidden altogether. */
function deniedReads(rules: readonly PermissionRule[]): readonly string[] {
  return rules.flatMap(({ tool, pattern, decision }) =>
    decision === "deny" && pattern !== undefined && ["read", "search", "list", "*"].includes(tool) ? [pattern] : [],
  );
}
