/** Answers that are given again: real files, tools, settings and wire formats; the model double counts what it is asked. */
import { rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import type { PromptOrigin } from "../../server/src/protocol/events.ts";
import type { SessionId } from "../../server/src/protocol/types.ts";
import { createFakeEditor } from "../support/fakeEditor.ts";
import type { Step } from "../support/modelDouble.ts";
import { type Play, type PlayOptions, startPlay, type WireFormat, wireFormats } from "../support/play.ts";

const files = { "src/a.ts": "export const a = 1;\n", "src/b.ts": "export const b = 2;\n" };
const question = "Where is a defined?";
const reading = {
  calls: [
    { name: "read", input: { files: [{ path: "src/a.ts" }] } },
    { name: "search", input: { pattern: "\\ba\\b" } },
  ],
};
const script = { steps: [reading, { say: "In src/a.ts." }] };
const chat = { "cache.chat": true };

const start = (options: Partial<PlayOptions> = {}) => startPlay({ script, files, settings: chat, ...options });

/** What the newest session answered, and whether that was from the cache. */
async function answerOf(play: Play, sessionId: SessionId): Promise<string> {
  const { events } = await play.local.host.loadSession(sessionId);
  const reused = events.flatMap((event) => (event.type === "answer_reused" ? [`${event.match}: `] : []));
  const texts = events.flatMap((event) =>
    event.type === "assistant_block" && event.block.part.type === "text" ? [event.block.part.text] : [],
  );
  return `${reused.join("")}${texts.join("")}`;
}

/** Asks in a new session. */
async function ask(play: Play, text = question, fresh = false): Promise<string> {
  const { sessionId } = await play.local.host.newSession({});
  const origin: PromptOrigin = "panel";
  const prompt = [{ type: "text", text }] as const;
  await play.local.host.prompt({ sessionId, prompt, origin, fresh }, new AbortController().signal);
  return answerOf(play, sessionId);
}

/** The model answers this from now on, in a new conversation. */
const answers = (play: Play, say: string, before: readonly Step[] = [reading]) =>
  play.double.setScript({ steps: [...before, { say }] });

const requests = (play: Play) => play.double.requests.length;

describe.each(Object.keys(wireFormats) as WireFormat[])("through %s", (wire) => {
  test("the same question is answered once, and the conversation goes on from the kept answer", async () => {
    await using play = await start({ wire });
    expect(await ask(play)).toBe("In src/a.ts.");
    expect(requests(play)).toBe(2);
    const { sessionId } = await play.local.host.newSession({});
    await play.prompt(question, { sessionId });
    expect(await answerOf(play, sessionId)).toBe("exact: In src/a.ts.");
    expect(requests(play)).toBe(2);
    const finished = play.events().findLast((event) => event.type === "step_finished");
    expect(finished).toMatchObject({ cost: 0, usage: { inputTokens: 0, outputTokens: 0 } });
    answers(play, "It is 1.", []);
    await play.prompt("And its value?", { sessionId });
    expect(await answerOf(play, sessionId)).toBe("exact: In src/a.ts.It is 1.");
    expect(play.double.requests.at(-1)?.body.toString()).toContain("In src/a.ts.");
    // The double wants its own form of a text back; the kept one comes as plain text, which every vendor takes.
    expect(play.double.violations.filter(({ rule }) => rule !== "I4")).toEqual([]);
    play.double.reset();
  });
});

describe("it is asked again", () => {
  test.each<[string, (play: Play) => Promise<void>]>([
    ["a file that was read has changed", (play) => writeFile(join(play.root, "src/a.ts"), "export const a = 3;\n")],
    ["a file that was read is gone", (play) => rm(join(play.root, "src/a.ts"))],
    ["a search now finds more", (play) => writeFile(join(play.root, "src/c.ts"), "use(a);\n")],
    ["the project's instructions have changed", (play) => writeFile(join(play.root, "AGENTS.md"), "Be brief.\n")],
  ])("when %s", async (_, change) => {
    await using play = await start();
    await ask(play);
    await change(play);
    answers(play, "Still in src/a.ts.");
    expect(await ask(play)).toBe("Still in src/a.ts.");
  });

  test("when unsaved text differs from what was read", async () => {
    const editor = createFakeEditor();
    await using play = await start({ host: { editor } });
    await ask(play);
    const uri = pathToFileURL(join(play.root, "src/a.ts")).href;
    editor.open(uri);
    editor.type(uri, "export const a = 4;\n");
    answers(play, "Still in src/a.ts.");
    expect(await ask(play)).toBe("Still in src/a.ts.");
  });

  test("when the user wants it so, and the new answer takes the place of the old one", async () => {
    await using play = await start();
    await ask(play);
    answers(play, "Still in src/a.ts.");
    expect(await ask(play, question, true)).toBe("Still in src/a.ts.");
    expect(await ask(play)).toBe("exact: Still in src/a.ts.");
  });

  test.each<[string, { readonly [name: string]: string | boolean }]>([
    ["the cache is off", { ...chat, "cache.enabled": false }],
    ["its type is off", { ...chat, "cache.type": "off" }],
    ["questions do not take part", {}],
  ])("when %s", async (_, settings) => {
    await using play = await start({ settings });
    await ask(play);
    answers(play, "Still in src/a.ts.");
    expect(await ask(play)).toBe("Still in src/a.ts.");
  });

  test.each([
    ["ran a command", { calls: [{ name: "shell", input: { command: "true" } }] }],
    ["changed a file", { calls: [{ name: "write", input: { path: "new.ts", text: "x\n" } }] }],
  ])("when its turn %s", async (_, step) => {
    await using play = await start({ script: { steps: [step, { say: "First." }] } });
    expect(await ask(play)).toBe("First.");
    await rm(join(play.root, "new.ts"), { force: true });
    answers(play, "Second.", [step]);
    expect(await ask(play)).toBe("Second.");
  });

  test("when a rule now forbids what it read", async () => {
    await using play = await start();
    await ask(play);
    const denied = { ...play.config.settings, "permissions.rules": ["deny read(src/a.ts)"] };
    play.local.configure({ ...play.config, settings: denied });
    answers(play, "Not to be read.");
    expect(await ask(play)).toBe("Not to be read.");
  });
});

test("“Explain” takes part by itself, for as long as the code is the same", async () => {
  await using play = await start({ settings: {}, script: { steps: [{ say: "It is 1." }] } });
  const uri = pathToFileURL(join(play.root, "src/a.ts")).href;
  const explain = async () => {
    const { sessionId, done } = await play.local.host.startTask(
      { task: "explain", uri },
      "code_action",
      new AbortController().signal,
    );
    await done;
    return answerOf(play, sessionId);
  };
  expect(await explain()).toBe("It is 1.");
  expect(await explain()).toBe("exact: It is 1.");
  await writeFile(join(play.root, "src/a.ts"), "export const a = 5;\n");
  answers(play, "It is 5.", []);
  expect(await explain()).toBe("It is 5.");
});

test("without an embedding server, only the same words are answered, and the user is told", async () => {
  const problems: string[] = [];
  const onProblem = (problem: string) => void problems.push(problem);
  await using play = await start({ settings: { "cache.type": "semantic" }, host: { onProblem } });
  expect(problems).toEqual([expect.stringContaining("Set hermes.cache.embedder.baseUrl")]);
  await ask(play);
  expect(await ask(play)).toBe("exact: In src/a.ts.");
});

test("two windows that ask the same at once share one answer", async () => {
  await using play = await start();
  const answers = await Promise.all([ask(play), ask(play), ask(play)]);
  expect(answers.toSorted()).toEqual(["In src/a.ts.", "exact: In src/a.ts.", "exact: In src/a.ts."]);
  expect(requests(play)).toBe(2);
});

test("with an embedder, other words for the same are answered, and a near question is a hint", async () => {
  const asked: { readonly body: string; readonly authorization: string | undefined }[] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => {
      body += chunk;
    });
    request.on("end", () => {
      asked.push({ body, authorization: request.headers.authorization });
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ object: "list", data: [{ object: "embedding", index: 0, embedding: [1, 0.5] }] }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  try {
    await using play = await start({
      settings: { "cache.type": "semantic", "cache.embedder.baseUrl": `http://127.0.0.1:${port}/v1` },
    });
    expect(await ask(play, "How does a work?")).toBe("In src/a.ts.");
    expect(await ask(play, "Please tell me how a works")).toBe("similar: In src/a.ts.");
    expect(requests(play)).toBe(2);
    answers(play, "Still in src/a.ts.");
    expect(await ask(play, "How does b work?")).toBe("Still in src/a.ts.");
    const hints = play.events().flatMap((event) => (event.type === "notice" ? [event.message] : []));
    expect(hints).toEqual([expect.stringContaining("“How does a work?”")]);
    expect(asked.map(({ authorization }) => authorization)).toEqual([undefined, undefined, undefined]);
    expect(JSON.parse(asked[0]?.body ?? "")).toEqual({
      model: "nomic-embed-text",
      input: "How does a work?",
      encoding_format: "float",
    });
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});
