/**
 * The commands of the terminal over a local host: run a task, list sessions, print one, list models.
 *
 * Not here: argument parsing (`cli.ts`), drawing (`cliOutput.ts`). Easily got wrong: with no terminal and no `--yes`, an
 * approval is answered by "deny", so that nothing ever hangs waiting for a person who is not there.
 */
import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { createInterface } from "node:readline/promises";
import { text as readAll } from "node:stream/consumers";
import { RequestError } from "../base/errors.ts";
import { type Environment, processEnvironment, readConfig, type SettingValues, settings } from "../config.ts";
import type {
  ApprovalChoice,
  BudgetChoice,
  BudgetQuestion,
  Json,
  PermissionRequest,
  SessionId,
  StopReason,
} from "../protocol/types.ts";
import { parseRule } from "../tools/permission.ts";
import { budgetPrompt, readBudgetAnswer } from "./cliBudget.ts";
import { createOutput, type Output, printSession, printSessions } from "./cliOutput.ts";
import { ConfigFiles, describeProblem } from "./configFiles.ts";
import { costTable, limitLines, summariseCost } from "./cost.ts";
import { createLocalHost, type LocalHost } from "./local.ts";
import { explainLast, explanationLines } from "./why.ts";

/** What every command takes. */
export interface CommandOptions {
  readonly cwd: string;
  readonly json: boolean;
  /** `name=value`, the name below `hermes.`; values are JSON or plain text. */
  readonly settings: readonly string[];
}

/** What `hermes run` takes. */
export interface RunOptions extends CommandOptions {
  /** Empty or `-` to read it from standard input. */
  readonly task: string;
  readonly approveAll: boolean;
  /** Ask the model and not the cache of answers. */
  readonly fresh: boolean;
  readonly allow: readonly string[];
  readonly model?: string;
  readonly resume?: string;
}

const exitCodes: { readonly [reason in StopReason]: number } = {
  end_turn: 0,
  error: 1,
  refusal: 3,
  max_tokens: 4,
  max_turn_requests: 5,
  budget: 6,
  cancelled: 130,
};

/** Runs one task and answers with the exit code. */
export async function run(options: RunOptions): Promise<number> {
  const task = await readTask(options.task);
  if (!task) {
    process.stderr.write('hermes: there is no task. Write it after "run", or pipe it in.\n');
    return 2;
  }
  const output = createOutput({ json: options.json, out: process.stdout, err: process.stderr });
  const local = await open(options, output, options.approveAll ? ["*"] : options.allow);
  const stop = cancelOnSignal();
  try {
    const sessionId = (options.resume ?? (await local.host.newSession({})).sessionId) as SessionId;
    const result = await local.host.prompt(
      {
        sessionId,
        prompt: [{ type: "text", text: task }],
        origin: "cli",
        fresh: options.fresh,
        ...(options.model === undefined ? {} : { model: options.model }),
      },
      stop.signal,
    );
    output.result(sessionId, result);
    return exitCodes[result.stopReason];
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    output.failure({ code: error.code, message: error.message });
    return 1;
  } finally {
    stop.dispose();
    await local.close();
  }
}

/** Lists sessions, newest first. */
export async function list(options: CommandOptions & { readonly query?: string }): Promise<number> {
  const local = await open(options);
  try {
    const { sessions } = await local.host.listSessions(options.query === undefined ? {} : { query: options.query });
    process.stdout.write(options.json ? `${JSON.stringify(sessions)}\n` : printSessions(sessions));
    return 0;
  } finally {
    await local.close();
  }
}

/** Prints one session. */
export async function show(options: CommandOptions & { readonly id: string }): Promise<number> {
  if (!options.id) {
    process.stderr.write("hermes: which session? `hermes sessions` lists them.\n");
    return 2;
  }
  const local = await open(options);
  try {
    const { events } = await local.host.loadSession(options.id as SessionId);
    const lines = options.json ? events.map((event) => `${JSON.stringify(event)}\n`).join("") : printSession(events);
    process.stdout.write(lines);
    return 0;
  } finally {
    await local.close();
  }
}

/** Explains where the time and the money of the last turn went: of one session, or of the newest. */
export async function why(options: CommandOptions & { readonly id: string | undefined }): Promise<number> {
  const local = await open(options);
  try {
    const id = options.id ?? (await local.host.listSessions({ limit: 1 })).sessions[0]?.sessionId;
    const { events } = id ? await local.host.loadSession(id as SessionId) : { events: [] };
    const explanation = explainLast(events);
    if (!explanation) {
      process.stderr.write("hermes: no turn has ended here yet.\n");
      return 1;
    }
    const text = options.json ? JSON.stringify(explanation) : explanationLines(explanation).join("\n");
    process.stdout.write(`${text}\n`);
    return 0;
  } finally {
    await local.close();
  }
}

/** Lists the models that can be used now. */
export async function models(options: CommandOptions): Promise<number> {
  const local = await open(options);
  try {
    const { models: choices, selected } = await local.models.list();
    const lines = choices.map(({ id, label, state }) => {
      const mark = id === selected ? "*" : " ";
      return `${mark} ${id.padEnd(32)} ${label.padEnd(24)} ${state.replace("_", " ")}\n`;
    });
    process.stdout.write(options.json ? `${JSON.stringify({ models: choices, selected })}\n` : lines.join(""));
    return 0;
  } finally {
    await local.close();
  }
}

/** Prints what was spent in this month and the one before. */
export async function cost(options: CommandOptions): Promise<number> {
  const local = await open(options);
  try {
    const summary = await summariseCost(local, 2);
    const lines =
      summary.rows.length > 0 ? costTable(summary.rows) : ["Nothing was spent in this month or the one before."];
    const all = [...lines, ...limitLines(summary.limits)];
    process.stdout.write(options.json ? `${JSON.stringify(summary)}\n` : `${all.join("\n")}\n`);
    return 0;
  } finally {
    await local.close();
  }
}

async function open(options: CommandOptions, output?: Output, allow: readonly string[] = []): Promise<LocalHost> {
  const root = resolve(options.cwd);
  if (!(await stat(root).catch(() => undefined))?.isDirectory()) {
    throw new RequestError("no_folder", `There is no folder ${root}.`);
  }
  const environment = processEnvironment();
  const rules = allow.map((rule) => parseRule(rule, "allow"));
  const given = Object.fromEntries(options.settings.map(parseSetting));
  const config = readConfig(environment, given, {}, await readFiles(root, environment));
  if (config.problems.length > 0) throw new RequestError("invalid_setting", config.problems.join(" "));
  return createLocalHost({
    config,
    environment,
    root,
    extraRules: rules,
    trusted: () => true,
    ask: (request, signal) => (output ? askInTerminal(request, output, signal) : Promise.resolve("deny")),
    ...(output && canAsk() ? { askBudget: (question, signal) => askAtLimit(question, output, signal) } : {}),
    onUpdate: (sessionId, update) => output?.update(sessionId, update),
  });
}

/** What the configuration files give; what is wrong in them is told. */
async function readFiles(root: string, environment: Environment): Promise<readonly SettingValues[]> {
  const files = new ConfigFiles({ root, environment, trusted: () => true });
  for (const { file, problems } of await files.reload()) {
    for (const problem of problems) process.stderr.write(`hermes: ${describeProblem(file, problem)}\n`);
    if (problems.some(({ severity }) => severity === "error")) {
      process.stderr.write(`hermes: nothing of ${file.path} is used.\n`);
    }
  }
  return files.values;
}

function parseSetting(text: string): readonly [string, Json] {
  const at = text.indexOf("=");
  const name = text.slice(0, at).replace(/^hermes\./, "");
  if (at < 1 || !(name in settings)) {
    throw new RequestError(
      "invalid_setting",
      `--setting ${text}: it must be NAME=VALUE with one of ${Object.keys(settings).join(", ")}.`,
    );
  }
  const value = text.slice(at + 1);
  try {
    return [name, JSON.parse(value)];
  } catch {
    return [name, value];
  }
}

async function readTask(task: string): Promise<string> {
  if (task && task !== "-") return task.trim();
  return process.stdin.isTTY ? "" : (await readAll(process.stdin)).trim();
}

const answers: { readonly [key: string]: ApprovalChoice } = {
  y: "allow_once",
  s: "allow_session",
  a: "allow_always",
  n: "deny",
};

async function askInTerminal(request: PermissionRequest, output: Output, signal: AbortSignal): Promise<ApprovalChoice> {
  if (!canAsk()) {
    output.note(
      `Denied, because there is no terminal to ask in: ${request.title}. Use --yes or --allow "${request.rule}".`,
    );
    return "deny";
  }
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  try {
    output.note(`${request.title}\n${request.detail}`);
    for (;;) {
      const answer = await prompt.question("Allow? [y]es, for this [s]ession, [a]lways, [n]o: ", { signal });
      const choice = answers[answer.trim().toLowerCase().slice(0, 1)];
      if (choice) return choice;
    }
  } finally {
    prompt.close();
  }
}

/** Whether there is a person at this terminal. */
function canAsk(): boolean {
  return process.stdin.isTTY && process.stderr.isTTY;
}

async function askAtLimit(question: BudgetQuestion, output: Output, signal: AbortSignal): Promise<BudgetChoice> {
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  try {
    output.note(question.message);
    for (;;) {
      const choice = readBudgetAnswer(await prompt.question(budgetPrompt(question), { signal }), question);
      if (choice) return choice;
    }
  } finally {
    prompt.close();
  }
}

/** The first Ctrl+C cancels the turn, the second ends the process. */
function cancelOnSignal(): { readonly signal: AbortSignal; dispose(): void } {
  const controller = new AbortController();
  const onSignal = () => {
    if (controller.signal.aborted) process.exit(130);
    controller.abort();
  };
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
  return {
    signal: controller.signal,
    dispose: () => void process.off("SIGINT", onSignal).off("SIGTERM", onSignal),
  };
}
