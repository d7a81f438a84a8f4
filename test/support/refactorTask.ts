/**
 * The task that every way into Hermes must do alike: search, read four files at once, edit three (one of them with
 * unsaved text in an editor), run a command, answer.
 *
 * Not here: how it is started. Easily got wrong: `unsaved` is the text of an open document; where there is no editor the
 * same text is on disk from the start, so that the files at the end can be compared.
 */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Script } from "./modelDouble.ts";

/** What the user asks for. */
export const refactorPrompt = "Rename total to sum everywhere and check that it still works.";

/** The file that has unsaved text, relative to the root. */
export const unsavedPath = "src/report.ts";

/** The text of that file in the editor. */
export const unsavedText = `import { total } from "./total.ts";

export const title = "Typed just now, not saved";
export const report = (items: readonly number[]): string => \`Total: \${total(items)}\`;
`;

/** The workspace before the task. */
export const refactorFiles: { readonly [path: string]: string } = {
  "src/total.ts":
    "export function total(items: readonly number[]): number {\n  return items.reduce((a, b) => a + b, 0);\n}\n",
  "src/report.ts": `import { total } from "./total.ts";

export const report = (items: readonly number[]): string => \`Total: \${total(items)}\`;
`,
  "src/main.ts":
    'import { report } from "./report.ts";\nimport { total } from "./total.ts";\n\nconsole.log(report([1, 2]), total([3]));\n',
  "README.md": "# Sums\n\nUse `total` to add up.\n",
  "check.mjs":
    'import { readFileSync } from "node:fs";\nconst text = readFileSync("src/total.ts", "utf8");\nif (!text.includes("function sum")) process.exit(1);\nconsole.log("checked");\n',
};

/** The workspace after it. */
export const refactorExpected: { readonly [path: string]: string } = {
  "src/total.ts":
    "export function sum(items: readonly number[]): number {\n  return items.reduce((a, b) => a + b, 0);\n}\n",
  "src/report.ts": unsavedText.replace("import { total }", "import { sum }").replace("total(items)", "sum(items)"),
  "src/main.ts":
    'import { report } from "./report.ts";\nimport { sum } from "./total.ts";\n\nconsole.log(report([1, 2]), sum([3]));\n',
  "README.md": "# Sums\n\nUse `total` to add up.\n",
};

/** What the model does. */
export const refactorScript: Script = {
  name: "refactor",
  steps: [
    { say: "I look for every use first.", calls: [{ name: "search", input: { pattern: "total", path: "src" } }] },
    {
      calls: ["src/total.ts", "src/report.ts", "src/main.ts", "README.md"].map((path) => ({
        name: "read",
        input: { files: [{ path }] },
      })),
    },
    {
      say: "Three files use it.",
      calls: [
        { name: "edit", input: { path: "src/total.ts", old: "function total(", new: "function sum(" } },
        { name: "edit", input: { path: "src/report.ts", old: "import { total }", new: "import { sum }" } },
        { name: "edit", input: { path: "src/report.ts", old: "total(items)", new: "sum(items)" } },
        {
          name: "edit",
          input: {
            path: "src/main.ts",
            old: 'import { total } from "./total.ts";\n\nconsole.log(report([1, 2]), total([3]));',
            new: 'import { sum } from "./total.ts";\n\nconsole.log(report([1, 2]), sum([3]));',
          },
        },
      ],
    },
    { calls: [{ name: "shell", input: { command: "node check.mjs" } }] },
    { say: "Renamed `total` to `sum` in **three files**; the check passes: {{result:0:/(checked)/}}." },
  ],
};

/** Writes the workspace; with `saved`, the unsaved text is already on disk. */
export async function writeRefactorFiles(root: string, options: { readonly saved: boolean }): Promise<void> {
  const files = options.saved ? { ...refactorFiles, [unsavedPath]: unsavedText } : refactorFiles;
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
}

/** The files that the task is about, as they are on disk. */
export async function readRefactorFiles(root: string): Promise<{ readonly [path: string]: string }> {
  const paths = Object.keys(refactorExpected);
  const texts = await Promise.all(paths.map((path) => readFile(join(root, path), "utf8")));
  return Object.fromEntries(paths.map((path, index) => [path, texts[index] ?? ""]));
}
