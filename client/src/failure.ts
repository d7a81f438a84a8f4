/**
 * A failed request to the host: its stable word, what it says, and what helps against it.
 *
 * Not here: how it is shown (`conversation.ts`, `review.ts`). Easily got wrong: an error that did not come from the host, or
 * is a fault of it, has no word of its own.
 */
import type { PanelAction } from "../../server/src/protocol/panel.ts";

/** What the page offers against a failure with this word, where something is likely to help. */
export function actionOf(code: string): PanelAction | undefined {
  if (code === "needs_key" || code === "auth") return "set_api_key";
  return code === "internal" ? "show_log" : undefined;
}

/** The stable word of a failure that the host told; `internal` where it has none. */
export function codeOf(error: unknown): string {
  const data: unknown = error instanceof Error && "data" in error ? error.data : undefined;
  const code: unknown = typeof data === "object" && data !== null && "code" in data ? data.code : undefined;
  return typeof code === "string" ? code : "internal";
}

/** What a failure says. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
