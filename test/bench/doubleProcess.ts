/**
 * The model double as a process of its own, so that its work is not measured with ours.
 *
 * Not here: what it says. Easily got wrong: it ends when its standard input does, so it never outlives a figure.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { projectNode, root } from "../rig/bootstrap.mjs";
import type { RecordedRequest, Script, Timing } from "../support/modelDouble.ts";

/** A running double; disposing of it ends it. */
export interface DoubleProcess extends AsyncDisposable {
  readonly url: string;
  /** Forgets what was asked, and plays the script from its start. */
  reset(): Promise<void>;
  journal(): Promise<readonly Pick<RecordedRequest, "receivedAt" | "sentAt">[]>;
}

/** Starts a double that plays a script; `work` is a folder for the script's file. */
export async function startDouble(options: {
  readonly work: string;
  readonly seed: string;
  readonly script: Script;
  readonly timing?: Timing;
}): Promise<DoubleProcess> {
  const { work, seed, script, timing = {} } = options;
  const file = join(work, "script.json");
  writeFileSync(file, JSON.stringify(script));
  const main = join(root, "test/support/modelDoubleCli.ts");
  const args = [main, "--script", file, "--seed", seed, "--timing", JSON.stringify(timing)];
  const child = spawn(projectNode, args, { stdio: ["pipe", "pipe", "inherit"] });
  const [line] = await once(createInterface(child.stdout), "line");
  const { url } = JSON.parse(line);
  return {
    url,
    reset: async () => void (await fetch(`${url}/__reset`, { method: "POST" })),
    journal: async () => (await fetch(`${url}/__journal`)).json(),
    [Symbol.asyncDispose]: async () => {
      child.stdin.end();
      await once(child, "close");
    },
  };
}
