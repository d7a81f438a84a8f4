/**
 * Notebooks as a workspace shows and writes them, on the disk and with unsaved changes in an editor: what is undone has
 * the same bytes again, also in another process, and an editor's notebook is neither saved nor overwritten.
 */
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import "../support/leaks.ts";
import { ToolError } from "../../server/src/base/errors.ts";
import { createFormerCellStore } from "../../server/src/storage/formerCells.ts";
import { createDiskWorkspace } from "../../server/src/workspace/disk.ts";
import { createNotebookWorkspace } from "../../server/src/workspace/notebook.ts";
import { createOpenNotebooks } from "../../server/src/workspace/openNotebooks.ts";
import type { Workspace } from "../../server/src/workspace/workspace.ts";
import { createFakeNotebooks, type FakeNotebooks } from "../support/fakeNotebooks.ts";
import { sampleNotebook } from "../support/sampleNotebook.ts";

const { signal } = new AbortController();

let folder: string;
let root: string;
let path: string;
let uri: string;
let notebooks: FakeNotebooks;
let workspace: Workspace;

/** As after a start of the host: only what is on disk is known. */
function create(): Workspace {
  let ids = 0;
  const disk = createDiskWorkspace({
    root,
    outputDir: join(folder, "output"),
    environment: { PATH: process.env.PATH },
    createId: () => `id${++ids}`,
  });
  const formerCells = createFormerCellStore(join(folder, "home", "notebooks"));
  return createNotebookWorkspace(createOpenNotebooks(disk, notebooks), { formerCells, search: disk });
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "hermes-notebooks-"));
  root = join(folder, "project");
  await mkdir(root);
  path = join(root, "a.ipynb");
  uri = pathToFileURL(path).href;
  await writeFile(path, sampleNotebook);
  notebooks = createFakeNotebooks();
  workspace = create();
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const bytes = () => readFile(path, "utf8");

/** Swaps as the agent does; gives the version and text that are there then. */
async function change(edit: (text: string) => string | null) {
  const file = await workspace.read(uri, signal);
  const wanted = edit(file.text);
  const text = wanted === null ? null : ((await workspace.normalText?.(uri, wanted, signal)) ?? wanted);
  const outcome = await workspace.swap(uri, file.version, text, signal);
  if (!outcome.applied) throw new Error("stale");
  expect(outcome.file?.text ?? null).toBe(text);
  return { before: file.text, version: outcome.file?.version ?? null };
}

async function refusal(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(ToolError);
  return error instanceof Error ? error.message : "";
}

const secondCell = /\n# %% \[code\] id=plot\n.*\n(?=\n# %%)/;

describe("a notebook on disk", () => {
  it("is read as its cells, without outputs", async () => {
    const { text } = await workspace.read(uri, signal);
    expect(text).toContain('\n# %% [code] id=load\nimport math\nx = math.pi\n\n# %% [code] id=plot\nprint("é", x)\n');
    expect(text).not.toContain("iVBORw0KGgo");
  });

  it("has other bytes in the edited source alone, the same mode, and the same bytes again after undo", async () => {
    await chmod(path, 0o640);
    const { before, version } = await change((text) => text.replace("x = math.pi", "x = math.tau"));
    expect(await bytes()).toBe(sampleNotebook.replace("x = math.pi", "x = math.tau"));
    expect((await stat(path)).mode & 0o777).toBe(0o640);
    expect(await workspace.swap(uri, version, before, signal)).toMatchObject({ applied: true, file: { text: before } });
    expect(await bytes()).toBe(sampleNotebook);
    expect((await stat(path)).mode & 0o777).toBe(0o640);
  });

  it("gets a removed cell back with its outputs, also by a host that was started since", async () => {
    const { before, version } = await change((text) => text.replace(secondCell, ""));
    expect(await bytes()).not.toContain("iVBORw0KGgo");
    workspace = create();
    expect(await workspace.swap(uri, version, before, signal)).toMatchObject({ applied: true });
    expect(await bytes()).toBe(sampleNotebook);
  });

  it("gets escapes back as they were written", async () => {
    await writeFile(path, sampleNotebook.replace("é", "\\u00e9"));
    const { before, version } = await change((text) => text.replace('print("é", x)', "pass"));
    await workspace.swap(uri, version, before, signal);
    expect(await bytes()).toBe(sampleNotebook.replace("é", "\\u00e9"));
  });

  it("is not changed when what it loses cannot be kept", async () => {
    await writeFile(join(folder, "home"), "in the way");
    expect(await refusal(change((text) => text.replace(secondCell, "")))).toContain("Nothing was changed");
    expect(await refusal(change(() => null))).toContain("Nothing was changed");
    expect(await bytes()).toBe(sampleNotebook);
  });

  it("comes back whole when it was deleted", async () => {
    const { before } = await change(() => null);
    expect(await workspace.swap(uri, null, before, signal)).toMatchObject({ applied: true });
    expect(await bytes()).toBe(sampleNotebook);
  });

  it("is made new from cells, with ids", async () => {
    const made = pathToFileURL(join(root, "new.ipynb")).href;
    const text = await workspace.normalText?.(made, "# %%\na = 1\n# %% [markdown]\n# Title\n", signal);
    expect(await workspace.swap(made, null, text ?? "", signal)).toMatchObject({ applied: true, file: { text } });
    const value = JSON.parse(await readFile(join(root, "new.ipynb"), "utf8"));
    expect(value).toMatchObject({ nbformat: 4, nbformat_minor: 5 });
    expect(value.cells).toMatchObject([
      { cell_type: "code", execution_count: null, outputs: [], source: ["a = 1"], id: expect.any(String) },
      { cell_type: "markdown", source: ["# Title"], id: expect.any(String) },
    ]);
  });

  it("is not overwritten when its outputs have changed since it was read", async () => {
    const { version, text } = await workspace.read(uri, signal);
    await writeFile(path, sampleNotebook.replace("iVBORw0KGgo", "AAAA"));
    const outcome = await workspace.swap(uri, version, text.replace("math.pi", "1"), signal);
    expect(outcome).toMatchObject({ applied: false, reason: "stale", current: { text } });
    expect(await bytes()).toContain("AAAA");
  });

  it("refuses a text that is no notebook, and leaves a damaged one to be repaired as text", async () => {
    expect(await refusal(change(() => "hello\n"))).toContain('it has no "# %%" line');
    expect(await refusal(change((text) => `import os\n${text}`))).toContain("line 1 stands before");
    expect(await bytes()).toBe(sampleNotebook);
    const damaged = sampleNotebook.replace('"nbformat": 4', '<<<<<<< ours\n "nbformat": 4');
    await writeFile(path, damaged);
    expect((await workspace.read(uri, signal)).text).toBe(damaged);
    expect(await refusal(change(() => "# %%\na\n"))).toContain("damaged, or older than nbformat 4");
    const file = await workspace.read(uri, signal);
    await workspace.swap(uri, file.version, sampleNotebook, signal);
    expect((await workspace.read(uri, signal)).text).toContain("# %% [code] id=load");
  });

  it("is searched as its cells", async () => {
    await writeFile(join(root, "b.py"), 'print("é", x)\n');
    const found = async (pattern: string, glob?: string) => {
      const query = { pattern, literal: true, context: 0, limit: 10, ...(glob ? { glob } : {}) };
      return (await workspace.search(query, signal)).hits.map(({ path: at, line }) => `${at}:${line}`);
    };
    expect(await found('print("é", x)')).toEqual(["a.ipynb:8", "b.py:1"]);
    expect(await found('print("é", x)', "*.py")).toEqual(["b.py:1"]);
    expect(await found("iVBORw0KGgo")).toEqual([]);
    await writeFile(join(root, "c.py"), 'print("cells")\n');
    const inFile = { pattern: "cells", path: "c.py", context: 0, limit: 10 };
    expect((await workspace.search(inFile, signal)).hits).toHaveLength(1);
  });
});

describe("a notebook with unsaved changes in an editor", () => {
  const typed = sampleNotebook.replace("# Title", "# Title, typed");

  it("is read as it is there, edited there, and not saved", async () => {
    notebooks.type(uri, typed);
    expect(await workspace.read(uri, signal)).toMatchObject({
      source: "buffer",
      text: expect.stringContaining("# Title, typed"),
    });
    const { before, version } = await change((text) => text.replace("math.pi", "math.tau").replace(secondCell, ""));
    expect(await bytes()).toBe(sampleNotebook);
    expect(notebooks.text(uri)).toContain("math.tau");
    expect(notebooks.text(uri)).toContain("# Title, typed");
    expect(await workspace.swap(uri, version, before, signal)).toMatchObject({ applied: true });
    expect(notebooks.text(uri)).toBe(typed);
    expect(await bytes()).toBe(sampleNotebook);
  });

  it("keeps what the user types while an edit is under way", async () => {
    notebooks.type(uri, typed);
    const { version, text } = await workspace.read(uri, signal);
    notebooks.beforeEdit = () => notebooks.type(uri, typed.replace("typed", "typed more"));
    const outcome = await workspace.swap(uri, version, text.replace("math.pi", "1"), signal);
    expect(outcome).toMatchObject({ applied: false, current: { text: expect.stringContaining("typed more") } });
    expect(notebooks.text(uri)).toContain("math.pi");
  });

  it("is neither deleted nor replaced as bytes", async () => {
    notebooks.type(uri, typed);
    expect(await refusal(change(() => null))).toContain("unsaved changes");
    expect(await refusal(workspace.swapBytes?.(uri, null, null, signal) ?? Promise.resolve())).toContain("unsaved");
    expect(await bytes()).toBe(sampleNotebook);
  });
});
