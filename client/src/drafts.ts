/**
 * The edits that the model is writing right now, in the session on screen: a pure fold of what the page is told.
 *
 * Not here: showing them (`livePreview.ts`). Easily got wrong: a draft ends with its block, before the file is changed;
 * an edit that waits for approval is shown by its card, and nothing of it may stay behind in an editor.
 */
import type { SessionUpdate } from "../../server/src/protocol/events.ts";
import type { ToPanel } from "../../server/src/protocol/panel.ts";
import { ArgumentsStream } from "./argumentsStream.ts";

/** An edit that is being written. */
export interface Draft {
  /** Tells drafts of one step apart. */
  readonly index: number;
  /** As the model writes it: relative to the workspace, or absolute. */
  readonly path: string;
  /** The text to be replaced, complete; `undefined` when the whole file is. */
  readonly old: string | undefined;
  /** The new text, as far as it is there. */
  readonly text: string;
}

interface Open {
  readonly name: string;
  readonly stream: ArgumentsStream;
}

/** Follows the edits of the session on screen. */
export class Drafts {
  readonly #open = new Map<number, Open>();

  /** The drafts whose place is known, in the order of the answer. */
  current(): readonly Draft[] {
    return [...this.#open].flatMap(([index, { name, stream }]): readonly Draft[] => {
      const path = stream.get("path");
      if (!path?.complete) return [];
      if (name === "write") return [{ index, path: path.text, old: undefined, text: stream.get("text")?.text ?? "" }];
      const old = stream.get("old");
      return old?.complete ? [{ index, path: path.text, old: old.text, text: stream.get("new")?.text ?? "" }] : [];
    });
  }

  /** Takes a message to the page. Answers whether a draft was begun, grew or ended. */
  take(message: ToPanel): boolean {
    if (message.type === "session") {
      const had = this.clear();
      return message.live.map((delta) => this.#takeUpdate(delta)).includes(true) || had;
    }
    return message.type === "updates" && message.updates.map((update) => this.#takeUpdate(update)).includes(true);
  }

  /** Forgets all drafts: the host that streamed them is gone. Answers whether there were any. */
  clear(): boolean {
    const had = this.#open.size > 0;
    this.#open.clear();
    return had;
  }

  #takeUpdate(update: SessionUpdate): boolean {
    switch (update.type) {
      case "tool_call_delta": {
        const known = this.#open.get(update.index);
        if (!known && update.name !== "edit" && update.name !== "write") return false;
        const open = known ?? { name: update.name, stream: new ArgumentsStream() };
        this.#open.set(update.index, open);
        open.stream.push(update.json);
        return true;
      }
      case "assistant_block":
        return this.#open.delete(update.index);
      case "step_started":
      case "step_restarted":
      case "step_finished":
      case "turn_started":
      case "turn_finished":
        return this.clear();
      default:
        return false;
    }
  }
}
