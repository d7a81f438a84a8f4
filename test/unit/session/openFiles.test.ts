/** What a prompt says of open files: once, again when it is different, and nothing of what the agent may not see. */
import { expect, test } from "vitest";
import { openFilesContext } from "../../../server/src/session/openFiles.ts";
import type { Workspace } from "../../../server/src/workspace/workspace.ts";

const workspace: Pick<Workspace, "resolve"> = {
  resolve: async (uri) => {
    const path = uri.replace("file:///p/", "");
    return { uri, path, fsPath: path, inside: !uri.startsWith("file:///other/"), ignored: path.startsWith("secret/") };
  },
};
const file = (path: string, more: object = {}) => ({
  uri: `file:///p/${path}`,
  isActive: false,
  errors: 0,
  warnings: 0,
  ...more,
});
const turn = (context: string, gone = false) => ({ context, gone });

test("names the files with what is known of them", async () => {
  const files = [
    file("src/a.ts", { isActive: true, errors: 1, warnings: 2 }),
    file("b.md"),
    file("c.ts", { errors: 3 }),
  ];
  expect(await openFilesContext(files, [], workspace)).toBe(
    "<editor>\nOpen files:\n- src/a.ts (in front, 1 error, 2 warnings)\n- b.md\n- c.ts (3 errors)\n</editor>",
  );
});

test("leaves out what is outside of the workspace or ignored, and is bounded", async () => {
  const others = [{ ...file("x"), uri: "file:///other/x" }, file("secret/key.pem")];
  expect(await openFilesContext(others, [], workspace)).toBe("");
  const many = Array.from({ length: 50 }, (_, at) => file(`f${at}.ts`));
  expect((await openFilesContext(many, [], workspace)).match(/^- /gm)).toHaveLength(20);
});

test("says nothing again, what is different anew, and that nothing is open any more", async () => {
  const first = await openFilesContext([file("a.ts")], [], workspace);
  const told = [turn(`<context>\nDate: 2026-11-21\n</context>\n${first}`), turn("")];
  expect(await openFilesContext([file("a.ts")], told, workspace)).toBe("");
  expect(await openFilesContext([file("a.ts", { errors: 1 })], told, workspace)).toContain("a.ts (1 error)");
  const closed = await openFilesContext([], told, workspace);
  expect(closed).toBe("<editor>\nNo file is open.\n</editor>");
  expect(await openFilesContext([], [...told, turn(closed)], workspace)).toBe("");
});

test("what was told in a turn that was taken back is told again", async () => {
  const first = await openFilesContext([file("a.ts")], [], workspace);
  expect(await openFilesContext([file("a.ts")], [turn(first, true)], workspace)).toBe(first);
  expect(await openFilesContext([], [turn(first, true)], workspace)).toBe("");
});
