/**
 * Runs the tests inside a desktop VS Code.
 *
 * Not here: the browser build (`workbench.ts`). Easily got wrong: a desktop VS Code needs a display, and its socket
 * files lie in the user-data folder, whose path must therefore be short.
 */
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { downloadAndUnzipVSCode, runTests } from "@vscode/test-electron";
import { root } from "../../rig/bootstrap.mjs";
import { findDesktopCode } from "../../rig/desktopCode.ts";
import { plainSettings } from "../../rig/webServer.ts";
import { extensionFolder, testEnvironment } from "./workbench.ts";

/** The program of a desktop VS Code: named, installed, or downloaded; throws when none can be had. */
export async function findDesktopProgram(): Promise<string> {
  const named = process.env.HERMES_VSCODE_PATH;
  if (named) return named;
  const command = findDesktopCode();
  if (command !== undefined && process.platform === "linux") {
    const program = path.join(path.dirname(fs.realpathSync(command)), "..", "code");
    if (fs.existsSync(program)) return program;
  }
  return downloadAndUnzipVSCode({ version: "stable", cachePath: path.join(root, ".cache", "vscode-desktop") });
}

/** Runs the bundled tests on a copy of the sample and resolves when VS Code has ended, whatever its exit code. */
export async function runOnDesktop(
  program: string,
  testsPath: string,
  env: Readonly<Record<string, string>>,
): Promise<void> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "hermes-test-"));
  try {
    const workspace = path.join(folder, "sample");
    fs.cpSync(path.join(root, "sample"), workspace, { recursive: true });
    const settings = path.join(folder, "data", "User", "settings.json");
    fs.mkdirSync(path.dirname(settings), { recursive: true });
    fs.writeFileSync(settings, JSON.stringify(plainSettings));
    const failed = await runTests({
      vscodeExecutablePath: program,
      extensionDevelopmentPath: extensionFolder(),
      extensionTestsPath: testsPath,
      extensionTestsEnv: { ...testEnvironment(folder, env) },
      launchArgs: [
        workspace,
        ...["--user-data-dir", path.join(folder, "data"), "--extensions-dir", path.join(folder, "extensions")],
        ...["--disable-workspace-trust", "--disable-extensions"],
      ],
    }).then(
      () => undefined,
      (error: unknown) => error,
    );
    // A failing test is in the results file already; this says more when VS Code itself did not run.
    if (failed !== undefined) console.log(`  VS Code: ${failed instanceof Error ? failed.message : String(failed)}`);
  } finally {
    fs.rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }
}
