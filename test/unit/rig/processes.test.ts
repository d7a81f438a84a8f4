/**
 * Nothing that the rig starts is left behind, not even what left its process group.
 */
import type { ChildProcess } from "node:child_process";
import { expect, test } from "vitest";
import { descendants, isAlive, startProcess, stopProcess } from "../../rig/processes.ts";

/** Starts a program of its own group below itself, prints that one's id, and ignores polite requests to end. */
const stubborn = `
  process.on("SIGTERM", () => {});
  const child = require("node:child_process").spawn(process.execPath, ["-e", "setInterval(() => {}, 1e6)"], { detached: true });
  console.log(child.pid);
  setInterval(() => {}, 1e6);
`;

async function firstLine(child: ChildProcess): Promise<string> {
  let text = "";
  for await (const chunk of child.stdout ?? []) {
    text += String(chunk);
    if (text.includes("\n")) break;
  }
  return text.trim();
}

test("stopping a program ends it and everything below it, by force where it must", async () => {
  const child = startProcess(process.execPath, ["-e", stubborn], { stdio: ["ignore", "pipe", "inherit"] });
  const below = Number(await firstLine(child));
  const pid = child.pid ?? 0;
  expect(descendants(pid)).toContain(below);
  expect([isAlive(pid), isAlive(below)]).toEqual([true, true]);
  await stopProcess(child, 0);
  await expect.poll(() => [isAlive(pid), isAlive(below)]).toEqual([false, false]);
});

test("stopping a program that has ended does nothing", async () => {
  const child = startProcess(process.execPath, ["-e", ""], { stdio: "ignore" });
  await new Promise((resolve) => child.once("exit", resolve));
  await expect(stopProcess(child)).resolves.toBeUndefined();
});
