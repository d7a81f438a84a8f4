/**
 * What the host tells about its own working: log lines with a level, published for whoever subscribes in `main/`.
 *
 * Not here: where they go. Easily got wrong: nobody listening costs nothing, and a line never holds a key, a prompt or
 * file content.
 */
import { channel } from "node:diagnostics_channel";

/** One line of the log. */
export interface LogLine {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly message: string;
  /** The stack of a bug. */
  readonly error?: unknown;
}

const lines = channel("hermes.log");

/** Publishes a log line. */
export function log(level: LogLine["level"], message: string, error?: unknown): void {
  if (lines.hasSubscribers) lines.publish({ level, message, ...(error === undefined ? {} : { error }) });
}

/** Subscribes to the log until the result is called. */
export function onLog(listener: (line: LogLine) => void): () => void {
  const forward = (message: unknown) => listener(message as LogLine);
  lines.subscribe(forward);
  return () => lines.unsubscribe(forward);
}
