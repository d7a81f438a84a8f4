/**
 * Reads what a file has now, as the edit ledger wants it: its text, or the digest of its bytes.
 *
 * Not here: what follows from it (`editLedger.ts`). Easily got wrong: a link that the agent has changed is known by its own
 * target, and never by what it leads to.
 */
import { ToolError } from "../base/errors.ts";
import type { BlobId } from "../protocol/types.ts";
import { digestOf } from "../workspace/fileBytes.ts";
import type { FileText, Workspace } from "../workspace/workspace.ts";
import type { Present } from "./fileView.ts";

/** What is there, and the file at its version where it is text. `link` when a link is meant itself. */
export async function readPresent(
  uri: string,
  meant: "file" | "link",
  workspace: Workspace,
): Promise<{ readonly present: Present; readonly file: FileText | null }> {
  if (meant === "link") {
    const digest = await digestAt(uri, workspace);
    return { present: digest ? { kind: "not text", digest } : { kind: "text", text: null }, file: null };
  }
  try {
    // Reading a missing file searches for names like it; deleting it if it is missing only says what is there.
    const probe = await workspace.swap(uri, null, null, neverAborted);
    const file = probe.applied ? null : probe.current;
    return { present: { kind: "text", text: file?.text ?? null }, file };
  } catch (error) {
    if (!(error instanceof ToolError)) throw error;
    return { present: { kind: "not text", digest: await digestAt(uri, workspace) }, file: null };
  }
}

async function digestAt(uri: string, workspace: Workspace): Promise<BlobId | undefined> {
  try {
    const file = await workspace.readBytes?.(uri, neverAborted);
    return file ? digestOf(file.bytes) : undefined;
  } catch (error) {
    if (error instanceof ToolError) return undefined;
    throw error;
  }
}

const neverAborted = new AbortController().signal;
