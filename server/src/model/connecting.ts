/**
 * Tells when a request has its connection: the one phase of a request that `fetch` itself does not show.
 *
 * Not here: what is done about it (`connection.ts`). Easily got wrong: only Node's own `fetch` announces this, so a caller
 * must do without the news when another one is used.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { subscribe } from "node:diagnostics_channel";

/** Is told of one request: first that it looks for a connection, then that it has one and its head goes out. */
export interface ConnectingListener {
  readonly connecting: () => void;
  readonly connected: () => void;
}

const current = new AsyncLocalStorage<ConnectingListener>();
const listeners = new WeakMap<object, ConnectingListener>();
let subscribed = false;

/** Runs a function that fetches, and tells the listener of its requests. */
export function tellConnecting<T>(listener: ConnectingListener, run: () => Promise<T>): Promise<T> {
  if (!subscribed) {
    subscribed = true;
    subscribe("undici:request:create", (message) => {
      const known = current.getStore();
      const request = requestOf(message);
      if (!known || !request) return;
      listeners.set(request, known);
      known.connecting();
    });
    subscribe("undici:client:sendHeaders", (message) => {
      const request = requestOf(message);
      if (request) listeners.get(request)?.connected();
    });
  }
  return current.run(listener, run);
}

function requestOf(message: unknown): object | undefined {
  if (typeof message !== "object" || message === null || !("request" in message)) return undefined;
  return typeof message.request === "object" && message.request !== null ? message.request : undefined;
}
