/**
 * Puts the browser build of VS Code in place: the rig's own packages from the registry, nothing compiled, no install
 * scripts, no root.
 *
 * Not here: starting it (`webServer.ts`). Easily got wrong: VS Code's own dependencies are listed a second time inside
 * the code-server package, and are found through a link to this folder's `node_modules`; `npm ci` removes that link.
 */
import fs from "node:fs";
import path from "node:path";
import { isInstalled, npm, projectNode } from "./bootstrap.mjs";

const here = import.meta.dirname;
const vscodeFolder = path.join(here, "node_modules", "code-server", "lib", "vscode");

/** Where the parts of the browser build are. */
export const rig = {
  /** The Node that runs it. */
  node: projectNode,
  /** Its entry module. */
  serverMain: path.join(vscodeFolder, "out", "server-main.js"),
} as const;

/** True when nothing has to be downloaded before the browser build can start. */
export function isRigReady(): boolean {
  return isInstalled(here) && fs.existsSync(path.join(vscodeFolder, "node_modules", "vscode-oniguruma"));
}

/** Installs the browser build when it is missing or of another version (about 360 MB); throws with npm's words when that fails. */
export async function installRig(detail: (text: string) => void): Promise<void> {
  if (!isInstalled(here)) await npm(here, ["ci", "--ignore-scripts"], detail);
  const link = path.join(vscodeFolder, "node_modules");
  fs.rmSync(link, { recursive: true, force: true });
  fs.symlinkSync(path.join("..", "..", ".."), link, process.platform === "win32" ? "junction" : "dir");
}
