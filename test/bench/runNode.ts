/**
 * Runs a program on the project's Node and takes its time.
 *
 * Easily got wrong: times are of the wall clock that all processes share, so that they can be compared with those of the
 * model double.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { projectNode } from "../rig/bootstrap.mjs";

/** Milliseconds since 1970, finer than `Date.now`. */
export const wallNow = (): number => performance.timeOrigin + performance.now();

/** Runs Node with some arguments to its end; throws when it fails. `env` is all that it gets besides `PATH`. */
export async function runNode(
  args: readonly string[],
  { cwd, env = {} }: { readonly cwd: string; readonly env?: Readonly<Record<string, string>> },
): Promise<{ readonly startedAt: number; readonly wallMs: number; readonly output: string }> {
  const startedAt = wallNow();
  const child = spawn(projectNode, args, {
    cwd,
    env: { PATH: process.env.PATH, ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout.on("data", (chunk) => {
    output += chunk;
  });
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`${args[0]} ended with ${code}: ${output.slice(-500)}`);
  return { startedAt, wallMs: wallNow() - startedAt, output };
}
