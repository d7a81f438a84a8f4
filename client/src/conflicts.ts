/**
 * Shows a file that a restore left alone with both sides, as one unsaved edit between conflict markers.
 *
 * Not here: working out the sides (the host does). Easily got wrong: the edit is made only to the very text that the sides
 * were worked out for; nothing is saved, and one undo takes it back.
 */
import { Range, type TextDocument, Uri, window, workspace } from "vscode";
import { readConflict } from "../../server/src/protocol/methods.ts";
import type { RestoreId, SessionId } from "../../server/src/protocol/types.ts";
import type { AgentClient } from "./agentClient.ts";
import type { RestoreConflicts } from "./conversation.ts";
import { messageOf } from "./failure.ts";

/** How often a document that the user is typing into is looked at again. */
const maxTries = 3;

/** Asks what to do about files that a restore left as they are. */
export async function offerBothSides(agent: Pick<AgentClient, "request">, conflicts: RestoreConflicts): Promise<void> {
  const { sessionId, restoreId, uris } = conflicts;
  const what = uris.length === 1 ? nameOf(uris[0] ?? "") : `${uris.length} files`;
  const message = `Hermes: ${what} left as it is: you have changed the same lines since.`;
  const show = "Show Both Sides";
  const choice = await window.showWarningMessage(message, show, "Leave as It Is");
  if (choice !== show) return;
  for (const uri of uris) await showBothSides(agent, { sessionId, restoreId, uri });
}

/** Opens the file with both sides of each place that overlaps. */
export async function showBothSides(
  agent: Pick<AgentClient, "request">,
  conflict: { readonly sessionId: SessionId; readonly restoreId: RestoreId; readonly uri: string },
): Promise<void> {
  try {
    const document = await workspace.openTextDocument(Uri.parse(conflict.uri));
    const editor = await window.showTextDocument(document, { preview: false });
    for (let tries = 0; tries < maxTries; tries++) {
      const { present, text } = await agent.request(readConflict, conflict);
      if (!isSame(document, present)) continue;
      if (present === text) {
        void window.showInformationMessage(`Hermes: nothing overlaps in ${nameOf(conflict.uri)} any more. Undo again.`);
        return;
      }
      const whole = new Range(document.positionAt(0), document.positionAt(document.getText().length));
      const options = { undoStopBefore: true, undoStopAfter: true };
      if (await editor.edit((edit) => edit.replace(whole, withoutBom(text)), options)) return;
    }
    throw new Error(`${nameOf(conflict.uri)} was changed meanwhile. Nothing was done; try again.`);
  } catch (error) {
    void window.showErrorMessage(`Hermes: ${messageOf(error)}`);
  }
}

function isSame(document: TextDocument, present: string): boolean {
  return withoutBom(document.getText()) === withoutBom(present);
}

function withoutBom(text: string): string {
  return text.replace(/^\uFEFF/, "");
}

function nameOf(uri: string): string {
  return uri.slice(uri.lastIndexOf("/") + 1);
}
