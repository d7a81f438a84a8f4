/**
 * The double as a process of its own: one line tells where it is, and its control interface does what the object does.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, expect, test } from "vitest";

let folder: string;
let child: ChildProcess;
let url: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "double-"));
  const file = join(folder, "script.json");
  await writeFile(file, JSON.stringify({ steps: [{ say: "from a file", hold: { name: "gate", at: { text: 4 } } }] }));
  const cli = join(import.meta.dirname, "../../support/modelDoubleCli.ts");
  const process_ = spawn(process.execPath, [cli, "--script", file, "--strict"], { stdio: ["pipe", "pipe", "inherit"] });
  child = process_;
  const [line] = await once(createInterface(process_.stdout), "line");
  const said: { url: string; port: number } = JSON.parse(String(line));
  url = said.url;
});
afterEach(async () => {
  if (child.exitCode === null) {
    child.kill("SIGTERM");
    await once(child, "exit");
  }
  await rm(folder, { recursive: true });
});

async function call(method: string, path: string, body?: object): Promise<unknown> {
  const response = await fetch(url + path, { method, ...(body ? { body: JSON.stringify(body) } : {}) });
  return response.json();
}

const chat = { model: "m", messages: [{ role: "user", content: "hello" }], top_p: 1 };

test("plays a script file, holds until released, and tells what it got", async () => {
  const answer = call("POST", "/v1/chat/completions", chat);
  await call("POST", "/__reached", { name: "gate" });
  await call("POST", "/__release", { name: "gate" });
  expect(await answer).toMatchObject({ choices: [{ message: { content: "from a file" } }] });
  expect(await call("GET", "/__journal")).toMatchObject([
    { api: "chat", body: JSON.stringify(chat), outcome: "complete", status: 200, step: 0 },
  ]);
  expect(await call("GET", "/__violations")).toMatchObject([{ rule: "sampling", request: 0 }]);
});

test("takes another script, forgets on reset, and says what is wrong with a bad one", async () => {
  await call("POST", "/__script", [{ match: "hello", steps: [{ say: "from the wire" }] }]);
  const answer = await call("POST", "/v1/chat/completions", chat);
  expect(answer).toMatchObject({ choices: [{ message: { content: "from the wire" } }] });
  await call("POST", "/__reset");
  expect([await call("GET", "/__journal"), await call("GET", "/__violations")]).toEqual([[], []]);
  expect(await call("POST", "/__script", { steps: [{ sya: "typo" }] })).toMatchObject({
    error: expect.stringContaining("sya"),
  });
});

test("ends when its parent lets go of standard input", async () => {
  const ended = once(child, "exit");
  child.stdin?.end();
  expect(await ended).toEqual([0, null]);
});
