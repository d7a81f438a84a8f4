/**
 * Runs the terminal entry again under a Node that is new enough: the one that the project has as a dev dependency.
 *
 * Not here: what is new enough (`cli.ts`). Easily got wrong: this runs on old versions of Node, so it uses nothing new.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

/** Gives the exit code of the same command under the project's Node. Rejects with what to do when there is none. */
export async function runUnderOwnNode(argv: readonly string[], oldest: string): Promise<number> {
  const name = process.platform === "win32" ? "node.exe" : "node";
  // The bundle's chunks are a folder below the entry.
  const node = [1, 2]
    .map((levels) =>
      join(import.meta.dirname, ...Array<string>(levels).fill(".."), "node_modules", "node", "bin", name),
    )
    .find(existsSync);
  if (node === undefined) {
    throw new Error(
      `this is Node ${process.versions.node}, and Hermes needs ${oldest} or newer. Install one, or run this from a clone after npm ci.`,
    );
  }
  const child = spawn(node, [process.argv[1] ?? "", ...argv], { stdio: "inherit" });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve(code ?? 1));
  });
}
