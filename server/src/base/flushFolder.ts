/**
 * The one thing about files that storage and workspace share: making a changed folder last through a power cut.
 *
 * Not here: writing files. Easily got wrong: a rename or an unlink is durable only once its folder has been flushed too.
 */
import { open } from "node:fs/promises";

/** Makes a rename or an unlink in a folder last through a power cut, where folders can be flushed at all. Never throws. */
export async function flushFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch {
    // Windows and some network file systems cannot open or flush folders; the rename itself has happened.
  }
}
