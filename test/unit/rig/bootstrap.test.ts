/**
 * When packages are installed again, and what `npm start` says to wrong arguments before it does anything.
 */
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { isInstalled, root } from "../../rig/bootstrap.mjs";
import { hostEnvironment } from "../../rig/hostEnvironment.ts";

let folder: string;
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "hermes-bootstrap-"));
});
afterEach(() => fs.rmSync(folder, { recursive: true }));

describe("isInstalled", () => {
  const wanted = {
    "": {},
    "node_modules/a": { version: "1.0.0" },
    "node_modules/b": { version: "2.0.0", optional: true },
  };

  function check(installed: Record<string, object> | undefined): boolean {
    fs.mkdirSync(path.join(folder, "node_modules"));
    fs.writeFileSync(path.join(folder, "package-lock.json"), JSON.stringify({ packages: wanted }));
    if (installed !== undefined) {
      fs.writeFileSync(
        path.join(folder, "node_modules", ".package-lock.json"),
        JSON.stringify({ packages: installed }),
      );
    }
    return isInstalled(folder);
  }

  test.each([
    ["every package in its version", { "node_modules/a": { version: "1.0.0" } }, true],
    ["more than is wanted", { "node_modules/a": { version: "1.0.0" }, "node_modules/c": { version: "1.0.0" } }, true],
    ["another version", { "node_modules/a": { version: "1.0.1" } }, false],
    ["a package missing", {}, false],
    ["nothing", undefined, false],
  ])("%s", (_name, installed, expected) => {
    expect(check(installed)).toBe(expected);
  });
});

describe("npm start", () => {
  function start(...args: string[]): { code: number | null; out: string } {
    const env = { ...process.env, INIT_CWD: folder };
    const { status, stdout, stderr } = spawnSync(process.execPath, [path.join(root, "start.mjs"), ...args], {
      env,
      encoding: "utf8",
    });
    return { code: status, out: stdout + stderr };
  }

  test("--help explains itself", () => {
    const { code, out } = start("--help");
    expect(code).toBe(0);
    expect(out).toMatch(/^Usage: npm start/);
  });

  test.each([
    [["missing"], "The folder FOLDER/missing does not exist."],
    [["file"], "FOLDER/file is a file. Give the folder that holds it."],
    [["--port", "none"], "--port needs a number from 1 to 65535."],
    [["--wide"], "There is no option --wide."],
    [["--web", "--desktop"], "--desktop and --web cannot be given together."],
    [[".", "."], "Only one folder can be opened"],
  ])("%j is refused", (args, message) => {
    fs.writeFileSync(path.join(folder, "file"), "");
    const { code, out } = start(...args);
    expect(code).toBe(2);
    expect(out).toContain(message.replace("FOLDER", folder));
  });
});

test("the editor's environment has the project's Node first and nothing of npm's", () => {
  const env = hostEnvironment({
    PATH: "/usr/bin:/p/node_modules/.bin",
    npm_lifecycle_event: "start",
    npm_config_cache: "/c",
    ANTHROPIC_API_KEY: "k",
  });
  expect(env).toEqual({
    PATH: [path.join(root, "node_modules", "node", "bin"), "/usr/bin"].join(path.delimiter),
    npm_config_cache: "/c",
    ANTHROPIC_API_KEY: "k",
  });
});
