/** `hermes` in a terminal, as the shipped program: tasks, sessions, exit codes, and what it says when it cannot work. */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type ModelDouble, type Script, startModelDouble } from "../support/modelDouble.ts";
import { wireFormats } from "../support/play.ts";
import { runHermes } from "../support/processes.ts";
import {
  readRefactorFiles,
  refactorExpected,
  refactorPrompt,
  refactorScript,
  writeRefactorFiles,
} from "../support/refactorTask.ts";

let root: string;
let double: ModelDouble | undefined;

async function begin(script: Script): Promise<NodeJS.ProcessEnv> {
  double = await startModelDouble({ script, key: "test-key" });
  return {
    HOME: join(root, "home"),
    HERMES_HOME: join(root, "home"),
    ANTHROPIC_BASE_URL: double.anthropicBaseUrl,
    OPENAI_BASE_URL: double.openaiBaseUrl,
    ANTHROPIC_API_KEY: "test-key",
    OPENAI_API_KEY: "test-key",
  };
}

const cwd = () => join(root, "work");

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "hermes-cli-"));
  await writeRefactorFiles(cwd(), { saved: true });
});

afterEach(async () => {
  await double?.close();
  double = undefined;
  await rm(root, { recursive: true, force: true });
});

describe("hermes run", () => {
  test.each([
    ["Anthropic Messages", ["--model", wireFormats["anthropic-messages"]]],
    ["OpenAI Responses", ["--model", wireFormats["openai-responses"]]],
    ["OpenAI Chat Completions", ["--model", wireFormats["openai-chat"], "--setting", "openai.api=chat"]],
  ])("does the task through %s", async (_, choice) => {
    const env = await begin(refactorScript);
    const { code, lines } = await runHermes(["run", refactorPrompt, "--yes", "--json", ...choice], {
      cwd: cwd(),
      env,
    });
    expect(code).toBe(0);
    expect(await readRefactorFiles(cwd())).toEqual(refactorExpected);
    expect(lines().at(-1)).toMatchObject({
      type: "result",
      stopReason: "end_turn",
      firstRequestMs: expect.any(Number),
    });
    double?.assertClean();
  });

  test("says where an answer was given before, and asks the model with --fresh", async () => {
    const env = await begin({ steps: [{ say: "The answer." }] });
    const ask = (...more: string[]) =>
      runHermes(["run", "What is it?", "--setting", "cache.chat=true", ...more], { cwd: cwd(), env });
    await ask();
    const again = await ask();
    expect([again.code, again.stdout]).toEqual([0, "The answer.\n"]);
    expect(again.stderr).toMatch(/Answered before, at .* UTC; .* Ask again with --fresh\./);
    double?.setScript({ steps: [{ say: "Another." }] });
    expect((await ask("--fresh")).stdout).toBe("Another.\n");
  });

  test("ends at a limit where there is nobody to ask, says what rules have chosen, and what is left of each limit", async () => {
    const look = { say: "I look.", calls: [{ name: "list", input: {} }] };
    const env = await begin({ steps: [look, { say: "Done." }] });
    const settings = ["budget.turn.requests=1", "budget.day.requests=9"].flatMap((one) => ["--setting", one]);
    const { code, stderr } = await runHermes(["run", "What is here?", "--model", "auto", ...settings], {
      cwd: cwd(),
      env,
    });
    expect(code).toBe(6);
    expect(stderr).toContain("Claude Haiku 5.5: a short question or a small change (adaptive)");
    expect(stderr).toContain("The limit of 1 request for this turn would be passed");
    const cost = await runHermes(["cost", ...settings], { cwd: cwd(), env });
    expect(cost.stdout).toContain("limit per day: 1 request of 9 requests, 8 requests left");
  });

  test("takes the task from standard input and prints the answer alone on standard output", async () => {
    const env = await begin({ steps: [{ say: "The answer." }] });
    const { code, stdout, stderr } = await runHermes(["run"], { cwd: cwd(), env, input: "What is it?\n" });
    expect([code, stdout]).toEqual([0, "The answer.\n"]);
    expect(stderr).toContain("Done. Session ");
    expect(double?.requests[0]?.body.toString()).toContain("What is it?");
  });

  test("goes on in an earlier session with the same prefix", async () => {
    const env = await begin({ steps: [{ say: "One." }, { say: "Two." }] });
    const first = await runHermes(["run", "first", "--json"], { cwd: cwd(), env });
    const { sessionId } = first.lines().at(-1) as unknown as { sessionId: string };
    const second = await runHermes(["run", "second", "--resume", sessionId], { cwd: cwd(), env });
    expect(second.stdout).toBe("Two.\n");
    const shown = await runHermes(["show", sessionId], { cwd: cwd(), env });
    const why = await runHermes(["why"], { cwd: cwd(), env });
    expect(why.code).toBe(0);
    expect(why.stdout).toMatch(/\n {2}Model writing +\d.*%\n/);
    expect(why.stdout).toMatch(/\n {2}In all +\d.* 100 %\n$/);
    const told = JSON.parse((await runHermes(["why", sessionId, "--json"], { cwd: cwd(), env })).stdout);
    const { parts, totalMs } = told.waterfall;
    expect(parts.reduce((sum: number, { ms }: { ms: number }) => sum + ms, 0)).toBe(totalMs);
    expect(shown.stdout).toMatch(/> first\n\nOne\.\n\n> second\n\nTwo\./);
    double?.assertClean();
  });

  test("without a terminal, what nobody allowed is denied, and a rule allows just what it says", async () => {
    const env = await begin({
      steps: [
        {
          calls: [
            { name: "write", input: { path: "new.txt", text: "x" } },
            { name: "shell", input: { command: "touch shell.txt" } },
          ],
        },
        { say: "ok" },
      ],
    });
    const { code } = await runHermes(["run", "go", "--allow", "edit(**)", "--json"], { cwd: cwd(), env });
    expect(code).toBe(0);
    expect(await readdir(cwd())).toContain("new.txt");
    expect(await readdir(cwd())).not.toContain("shell.txt");
  });

  test.each<[string, Script, number, RegExp]>([
    ["a refusal", { steps: [{ say: "No.", stop: "refusal" }] }, 3, /Stopped: refusal/],
    ["an answer that is too long", { steps: [{ say: "x", stop: "max_tokens" }] }, 4, /length limit/],
    [
      "a server that fails for good",
      { steps: [{ say: "x", fault: { kind: "http", error: "badRequest", times: 9 } }] },
      1,
      /Stopped: error/,
    ],
  ])("ends on %s with its own exit code", async (_, script, exit, said) => {
    const env = await begin(script);
    const { code, stderr } = await runHermes(["run", "x"], { cwd: cwd(), env });
    expect(code).toBe(exit);
    expect(stderr).toMatch(said);
  });
});

describe("what it says when it cannot work", () => {
  test("a wrong key: whose, and how to set another, without the key", async () => {
    const env = { ...(await begin({ steps: [] })), ANTHROPIC_API_KEY: "wrong-key-123456" };
    const { code, stderr } = await runHermes(["run", "x"], { cwd: cwd(), env });
    expect(code).toBe(1);
    expect(stderr).toMatch(/Anthropic.*key.*(ANTHROPIC_API_KEY|Set API Key)/s);
    const journals = await readdir(join(root, "home/sessions"));
    const journal = await readFile(join(root, "home/sessions", journals[0] ?? ""), "utf8");
    expect(stderr + journal).not.toContain("wrong-key-123456");
  });

  test("an unknown model: the nearest names", async () => {
    const env = await begin({ steps: [] });
    const { code, stderr } = await runHermes(["run", "x", "--model", "claude-sonet-5-5"], { cwd: cwd(), env });
    expect(code).toBe(1);
    expect(stderr).toContain("anthropic/claude-sonnet-5-5");
  });

  test("a model the vendor does not have: which, and how to choose another", async () => {
    const env = await begin({ steps: [] });
    const { code, stderr } = await runHermes(["run", "x", "--model", "openai/nonsense-9"], { cwd: cwd(), env });
    expect(code).toBe(1);
    expect(stderr).toContain("nonsense-9");
  });

  test("no network: the address that does not answer", async () => {
    const env = { ...(await begin({ steps: [] })), ANTHROPIC_BASE_URL: "http://127.0.0.1:9" };
    const { code, stderr } = await runHermes(["run", "x"], { cwd: cwd(), env });
    expect(code).toBe(1);
    expect(stderr).toContain("127.0.0.1:9");
  });

  test.each([
    [["run"], 2, /no task/],
    [["walk"], 2, /no command "walk"/],
    [["run", "x", "--bogus"], 2, /bogus/],
    [["show"], 2, /which session/],
    [["show", "nope"], 1, /nope/],
    [["why"], 1, /no turn has ended/],
    [["why", "nope"], 1, /nope/],
    [["run", "x", "--cwd", "/does/not/exist"], 1, /no folder/],
    [["run", "x", "--allow", "shell("], 1, /malformed/],
    [["run", "x", "--setting", "openai.api=soap"], 1, /one of responses, chat/],
    [["run", "x", "--setting", "colour=red"], 1, /NAME=VALUE.*openai\.api/],
  ] as const)("%j", async (args, exit, said) => {
    const env = await begin({ steps: [] });
    const { code, stderr } = await runHermes(args, { cwd: cwd(), env });
    expect([code, stderr]).toEqual([exit, expect.stringMatching(said)]);
  });
});

test("an older Node, where no other is at hand: which one it is, which one is needed, and what to do", async () => {
  const older = 'Object.defineProperty(process.versions, "node", { value: "22.14.9" })';
  const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(older)}` };
  const { code, stdout, stderr } = await runHermes(["--version"], { cwd: cwd(), env });
  expect([code, stdout]).toEqual([1, ""]);
  expect(stderr).toBe(
    "hermes: this is Node 22.14.9, and Hermes needs 22.15 or newer. Install one, or run this from a clone after npm ci.\n",
  );
});

test("help and version", async () => {
  const env = await begin({ steps: [] });
  expect(await runHermes(["--help"], { cwd: cwd(), env })).toMatchObject({
    code: 0,
    stdout: expect.stringContaining("hermes run"),
  });
  expect((await runHermes(["--version"], { cwd: cwd(), env })).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});
