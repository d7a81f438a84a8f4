/**
 * Puts the browser build of VS Code in place: the rig's own packages from the registry, nothing compiled, no install
 * scripts, no root.
 *
 * Not here: starting it (`webServer.ts`). Easily got wrong: VS Code's own dependencies, and TypeScript for its language
 * server, are listed a second time inside the code-server package, and are found through links to this folder's
 * `node_modules`; `npm ci` removes those links.
 */
import fs from "node:fs";
import path from "node:path";
import { isInstalled, npm, projectNode } from "./bootstrap.mjs";

const here = import.meta.dirname;
const vscodeFolder = path.join(here, "node_modules", "code-server", "lib", "vscode");

/** Where a link to this folder's `node_modules` has to be, and one of the packages that are looked for there. */
const links = [
  { folder: vscodeFolder, holds: "vscode-oniguruma" },
  { folder: path.join(vscodeFolder, "extensions"), holds: "typescript" },
];

/** Where the parts of the browser build are. */
export const rig = {
  /** The Node that runs it. */
  node: projectNode,
  /** Its entry module. */
  serverMain: path.join(vscodeFolder, "out", "server-main.js"),
} as const;

/** True when nothing has to be downloaded before the browser build can start. */
export function isRigReady(): boolean {
  return (
    isInstalled(here) && links.every(({ folder, holds }) => fs.existsSync(path.join(folder, "node_modules", holds)))
  );
}

/** Installs the browser build when it is missing or of another version (about 360 MB); throws with npm's words when that fails. */
export async function installRig(detail: (text: string) => void): Promise<void> {
  if (!isInstalled(here)) await npm(here, ["ci", "--ignore-scripts"], detail);
  for (const { folder } of links) {
    const link = path.join(folder, "node_modules");
    fs.rmSync(link, { recursive: true, force: true });
    const target =
      process.platform === "win32"
        ? path.join(here, "node_modules")
        : path.relative(folder, path.join(here, "node_modules"));
    fs.symlinkSync(target, link, process.platform === "win32" ? "junction" : "dir");
  }
}
