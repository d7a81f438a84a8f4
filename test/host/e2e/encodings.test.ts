/**
 * Files that are not UTF-8 in a real VS Code: one told by its byte order mark and open, one by the user's setting and
 * closed. The agent edits both, and undo gives both their bytes back.
 *
 * Easily got wrong: VS Code writes the open file and the host the closed one, each by its own rules.
 */
import assert from "node:assert/strict";
import fs from "node:fs/promises";
import path from "node:path";
import iconv from "iconv-lite";
import { type Script, startModelDouble } from "../../support/modelDouble.ts";
import { withWorkbench } from "../support/workbench.ts";

const text = "Kopf\r\nGrüße\r\nçà et là\r\n";
const edited = text.replace("Grüße", "Grüße, geändert");
const edit = (name: string) => ({ name: "edit", input: { path: name, old: "Grüße", new: "Grüße, geändert" } });
const script: Script = {
  steps: [{ calls: [edit("wide.txt"), edit("latin.txt")] }, { say: "Both are changed." }],
};

describe("encodings", () => {
  it("keeps the encoding of an open and a closed file, and undo gives the bytes back", async () => {
    const double = await startModelDouble({ script });
    try {
      await withWorkbench(
        {
          name: "encodings",
          workspace: { "readme.md": "Encodings\n" },
          env: { ANTHROPIC_API_KEY: "test-key", ANTHROPIC_BASE_URL: double.anthropicBaseUrl },
          settings: {
            "hermes.model.name": "anthropic/claude-sonnet-5-5",
            "hermes.localModels.detect": false,
            "files.encoding": "windows1252",
          },
        },
        async ({ workspace, panel, openPanel, openFile, screenshot }) => {
          const wide = path.join(workspace, "wide.txt");
          const latin = path.join(workspace, "latin.txt");
          const bytesOf = (content: string) => ({
            wide: iconv.encode(content, "utf16le", { addBOM: true }),
            latin: iconv.encode(content, "windows1252"),
          });
          await fs.writeFile(wide, bytesOf(text).wide);
          await fs.writeFile(latin, bytesOf(text).latin);
          const onDisk = async () => ({ wide: await fs.readFile(wide), latin: await fs.readFile(latin) });
          await openFile("wide.txt");
          await openPanel();
          await panel.getByRole("textbox").first().fill("Change both");
          await panel.getByRole("button", { name: "Send" }).click();
          await panel.getByRole("button", { name: "Allow for this session" }).click();
          await panel.getByRole("log").getByText("Both are changed.").waitFor();
          await screenshot("edited");
          assert.deepEqual(await onDisk(), bytesOf(edited));
          await panel.getByRole("button", { name: "Undo", exact: true }).first().click();
          await panel
            .getByText(/undone/i)
            .first()
            .waitFor();
          assert.deepEqual(await onDisk(), bytesOf(text));
          double.assertClean();
        },
      );
    } finally {
      await double.close();
    }
  });
});
