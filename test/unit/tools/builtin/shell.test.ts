/** The `shell` tool: what it tells of a command, and which commands are known to only read. */
import { describe, expect, test } from "vitest";
import { onlyReads } from "../../../../server/src/tools/builtin/shellAccess.ts";
import type { RunOutcome } from "../../../../server/src/workspace/workspace.ts";
import { createMemoryWorkspace, type FakeRun } from "../../../support/memoryWorkspace.ts";
import { createToolSession } from "../callTool.ts";

const ended: RunOutcome = { exitCode: 0, signal: null, timedOut: false, output: "" };

function check(run: FakeRun, now?: () => number) {
  return createToolSession(createMemoryWorkspace({}, { run }), now);
}

describe("shell", () => {
  test.each<readonly [outcome: Partial<RunOutcome>, text: string]>([
    [{ output: "ok\n" }, "Exit code 0.\nok"],
    [{}, "Exit code 0.\n(no output)"],
    [{ exitCode: 1, output: "bad" }, "error: Exit code 1.\nbad"],
    [{ exitCode: null, signal: "SIGSEGV" }, "error: Ended by signal SIGSEGV.\n(no output)"],
    [
      { exitCode: null, signal: "SIGTERM", timedOut: true, output: "…" },
      "error: Ended by Hermes: it ran longer than 120 s. Give a longer timeoutSeconds, or run less at once.\n…",
    ],
    [{ output: "cut", outputFile: "/tmp/o.txt" }, "Exit code 0.\ncut\n[the whole output is in /tmp/o.txt]"],
  ])("tells of %j", async (outcome, text) => {
    const { call } = check(async () => ({ ...ended, ...outcome }));
    expect(await call("shell", { command: "x" })).toBe(text);
  });

  test("tells how long a command took, from a second on", async () => {
    let time = 0;
    const { call } = check(
      async () => {
        time += 2_345;
        return ended;
      },
      () => time,
    );
    expect(await call("shell", { command: "x" })).toBe("Exit code 0 after 2.3 s.\n(no output)");
  });

  test("passes the command and its timeout on and shows output as it comes", async () => {
    const given: unknown[] = [];
    const { call, reported } = check(async ({ command, timeoutMs, onOutput }) => {
      given.push(command, timeoutMs);
      onOutput("one");
      onOutput("two");
      return ended;
    });
    await call("shell", { command: "npm test", timeoutSeconds: 7 });
    expect([given, reported()]).toEqual([["npm test", 7_000], "onetwo"]);
  });

  test("asks about the whole command and shows its first line", async () => {
    const { parse } = check(async () => ended);
    const parsed = parse("shell", { command: "npm test\nrm x", description: "run the tests" });
    const subjects = await parsed.subjects(createMemoryWorkspace());
    expect([parsed.title, parsed.detail, subjects]).toEqual([
      "Run npm test…",
      "npm test\nrm x\n\nrun the tests",
      [{ type: "command", command: "npm test\nrm x" }],
    ]);
  });

  test("refuses a timeout beyond its limit", async () => {
    const { call } = check(async () => ended);
    expect(await call("shell", { command: "x", timeoutSeconds: 601 })).toContain("→ at timeoutSeconds");
  });

  test("runs alone unless the command only reads", async () => {
    const workspace = createMemoryWorkspace();
    const { parse } = check(async () => ended);
    const access = (command: string) => parse("shell", { command }).access(workspace);
    expect([await access("npm test"), await access("npm install")]).toEqual([
      { reads: ["*"], writes: [] },
      { reads: ["*"], writes: ["*"] },
    ]);
  });
});

describe("onlyReads", () => {
  test.each([
    "ls -la src",
    "sleep 1",
    "cat a | grep -n 'foo' | head -5",
    'rg "a|b;c>d" src/*.ts',
    "cd packages/a && npm test",
    "CI=1 npm test -- --bail",
    "npm run typecheck 2>&1 | tail -20",
    "npx vitest run src/a.test.ts",
    "npx tsc --noEmit -p .",
    "git log --oneline -5; git status",
    "git diff HEAD~1 -- src",
    "find . -name '*.ts' -not -path './node_modules/*'",
    "sed -n '10,20p' src/a.ts",
    "sed -n 5p a.ts",
    "eslint src 2>/dev/null || true",
    "node --test test/",
    "wc -l < a.txt",
    "echo $HOME",
    "uniq a.txt",
  ])("%s: yes", (command) => {
    expect(onlyReads(command)).toBe(true);
  });

  test.each([
    "",
    "   ",
    "rm -rf x",
    "npm install",
    "npm run build",
    "npm",
    "npm run lint test",
    "echo $'\\'' > b #'",
    "echo a > b",
    "echo a >> b",
    "echo a >| b",
    "echo a &> b",
    "ls > /dev/null2",
    "ls >& b",
    "cat a | tee b",
    "cat a; touch b",
    "cat a && touch b",
    "cat a || touch b",
    "cat a & touch b",
    "cat a\ntouch b",
    "cat $(touch b)",
    "cat `touch b`",
    'cat "$(touch b)"',
    "cat <(touch b)",
    "cat <<E",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is shell syntax.
    "cat ${x:=$(touch b)}",
    "(touch b)",
    "{ touch b; }",
    "find . -delete",
    "find . -name x -exec rm {} +",
    "find . -execdir rm {} +",
    "sed -i s/a/b/ a.ts",
    "sed -n -i 1p a.ts",
    "sed -ni 1p a.ts",
    "sed -n 'w out' a.ts",
    "sed -n '1w/tmp/x' a.ts",
    "sed -n 1e a.ts",
    "sed s/a/b/ a.ts",
    "sort -o a a",
    "sort -uo a a",
    "sort --output=a a",
    "uniq a b",
    "git commit -m x",
    "git -c alias.log=!rm log",
    "git diff --output=x",
    "git",
    "eslint --fix src",
    "npx eslint . --fix",
    "prettier -w .",
    "prettier src",
    "prettier --check --write .",
    "tsc",
    "vitest run -u",
    "jest --coverage",
    "node x.js",
    "node --test -e 'x'",
    "npx cowsay",
    "npx rm x",
    "npx",
    "FOO=1",
    "$CMD x",
    "xargs rm",
    "env rm x",
    "sudo ls",
    "constructor",
    "__proto__",
    "./ls",
  ])("%j: not certain", (command) => {
    expect(onlyReads(command)).toBe(false);
  });
});
