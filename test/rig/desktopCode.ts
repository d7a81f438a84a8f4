/**
 * Finds a desktop VS Code that can show a window here.
 *
 * Not here: downloading one. Easily got wrong: in a terminal of a remote VS Code `code` is another program, which
 * cannot load an extension from a folder.
 */
import fs from "node:fs";
import path from "node:path";

/** The `code` command of a desktop VS Code, or `undefined` when there is none or no display to show it on. */
export function findDesktopCode(): string | undefined {
  const { DISPLAY, WAYLAND_DISPLAY, VSCODE_IPC_HOOK_CLI, PATH = "" } = process.env;
  if (process.platform === "linux" && !DISPLAY && !WAYLAND_DISPLAY) return undefined;
  if (VSCODE_IPC_HOOK_CLI) return undefined;
  const names = process.platform === "win32" ? ["code.cmd", "code-insiders.cmd"] : ["code", "code-insiders"];
  const onPath = PATH.split(path.delimiter).flatMap((folder) => names.map((name) => path.join(folder, name)));
  const inApplications =
    process.platform === "darwin" ? ["/Applications/Visual Studio Code.app/Contents/Resources/app/bin/code"] : [];
  return [...onPath, ...inApplications].find((file) => !file.includes("remote-cli") && fs.existsSync(file));
}
