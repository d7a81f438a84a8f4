/**
 * The sample project: exactly one test fails, and the working copy that `npm start` makes never costs anyone work.
 */
import { execFile } from "node:child_process";
import fs from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { root } from "../../rig/bootstrap.mjs";
import { prepareSample } from "../../rig/sampleFolder.ts";

let folder: string;
beforeEach(async () => {
  folder = await fs.mkdtemp(path.join(os.tmpdir(), "hermes-sample-test-"));
  vi.stubEnv("TMPDIR", folder);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await fs.rm(folder, { recursive: true });
});

function runTests(project: string): Promise<string> {
  return new Promise((resolve) => {
    const { NODE_OPTIONS: _, ...env } = process.env;
    execFile(process.execPath, ["--test", "--test-reporter=tap"], { cwd: project, env }, (_error, stdout) =>
      resolve(stdout),
    );
  });
}

test("one test of the sample fails", async () => {
  const report = await runTests(path.join(root, "sample"));
  expect(report.match(/^# (tests|pass|fail) \d+$/gm)).toEqual(["# tests 15", "# pass 14", "# fail 1"]);
  expect(report).toContain("'60s' !== '1m'");
});

test("an unchanged copy is used again, a changed one is kept aside", async () => {
  const first = await prepareSample();
  expect(await fs.readdir(first.folder)).toEqual(expect.arrayContaining(["package.json", "src", "test"]));
  expect(await prepareSample()).toEqual(first);

  const changed = path.join(first.folder, "src", "format.ts");
  await fs.writeFile(changed, "// mine\n");
  const second = await prepareSample();
  expect(second).toEqual({ folder: first.folder, kept: `${first.folder}-1` });
  expect(await fs.readFile(path.join(`${first.folder}-1`, "src", "format.ts"), "utf8")).toBe("// mine\n");
  expect(await fs.readFile(changed, "utf8")).toBe(
    await fs.readFile(path.join(root, "sample", "src", "format.ts"), "utf8"),
  );

  await fs.writeFile(path.join(second.folder, "new.txt"), "also mine");
  expect((await prepareSample()).kept).toBe(`${first.folder}-2`);
});
