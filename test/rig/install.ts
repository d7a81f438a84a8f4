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

const packages = path.join(here, "node_modules");

/**
 * Links that VS Code looks through, and what they lead to. Only the first leads to everything: a second link of that kind
 * would give tools that follow links a tree without end.
 */
const links = [
  { link: path.join(vscodeFolder, "node_modules"), target: packages },
  {
    link: path.join(vscodeFolder, "extensions", "node_modules", "typescript"),
    target: path.join(packages, "typescript"),
  },
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
  return isInstalled(here) && links.every(({ link }) => fs.existsSync(link));
}

/** Installs the browser build when it is missing or of another version (about 360 MB); throws with npm's words when that fails. */
export async function installRig(detail: (text: string) => void): Promise<void> {
  if (!isInstalled(here)) await npm(here, ["ci", "--ignore-scripts"], detail);
  for (const { link, target } of links) {
    const folder = path.dirname(link);
    // An earlier version linked this folder itself.
    if (fs.lstatSync(folder, { throwIfNoEntry: false })?.isSymbolicLink()) fs.unlinkSync(folder);
    fs.mkdirSync(folder, { recursive: true });
    fs.rmSync(link, { recursive: true, force: true });
    if (process.platform === "win32") fs.symlinkSync(target, link, "junction");
    else fs.symlinkSync(path.relative(folder, target), link, "dir");
  }
}
