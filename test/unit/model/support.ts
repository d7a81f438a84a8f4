/**
 * Small builders shared by the tests of `server/src/model`.
 *
 * Not here: anything that talks HTTP (the model double). Easily got wrong: the fake clock never waits; it moves `now`.
 */
import type { Clock } from "../../../server/src/base/async.ts";
import type {
  ModelEvent,
  ModelMessage,
  ModelRequest,
  Provider,
  RequestAccount,
} from "../../../server/src/model/provider.ts";
import type { CallId, ModelSpec, SessionId, TurnId } from "../../../server/src/protocol/types.ts";

/** A model spec of a vendor's size. */
export function modelSpec(changes: Partial<ModelSpec> = {}): ModelSpec {
  return {
    id: "test/model",
    label: "Model",
    api: "anthropic-messages",
    wireId: "model",
    contextTokens: 200_000,
    maxOutputTokens: 8_000,
    images: true,
    thinking: "none",
    ...changes,
  };
}

/** Whose the requests of tests are. */
export const requestAccount: RequestAccount = {
  sessionId: "session-1" as SessionId,
  turnId: "turn-1" as TurnId,
  purpose: "turn",
};

/** A request that holds one prompt and one tool. */
export function modelRequest(changes: Partial<ModelRequest> = {}): ModelRequest {
  return {
    model: modelSpec(),
    system: "You help.",
    tools: [{ name: "read", description: "Reads.", inputSchema: { type: "object", properties: {} } }],
    messages: [userMessage("Fix it")],
    maxOutputTokens: 1_000,
    cacheKey: "session-1",
    account: requestAccount,
    ...changes,
  };
}

/** A prompt of one text. */
export function userMessage(text: string): ModelMessage {
  return { role: "user", parts: [{ type: "text", text }] };
}

/** A prompt of one text that tells whenever its parts are looked at. */
export function countingMessage(text: string, onLook: () => void): ModelMessage {
  return {
    role: "user",
    get parts() {
      onLook();
      return [{ type: "text", text }] as const;
    },
  };
}

/** A call id. */
export function callId(id: string): CallId {
  return id as CallId;
}

/** A clock that a test reads: sleeping only moves it, and is written down. */
export interface FakeClock extends Clock {
  readonly slept: number[];
}

/** Makes a clock that stands at 1,000,000 ms. */
export function fakeClock(): FakeClock {
  let now = 1_000_000;
  const slept: number[] = [];
  return {
    slept,
    now: () => now,
    sleep: async (ms, signal) => {
      signal.throwIfAborted();
      slept.push(ms);
      now += ms;
    },
  };
}

/** A provider whose n-th request answers with the n-th list of events; an error in it is thrown there. */
export function scripted(...answers: readonly (readonly (ModelEvent | Error)[])[]): Provider {
  let asked = 0;
  return {
    async *stream() {
      for (const event of answers[asked++] ?? []) {
        if (event instanceof Error) throw event;
        yield event;
      }
    },
  };
}

/** All events of a stream. */
export async function collect(events: AsyncIterable<ModelEvent>): Promise<ModelEvent[]> {
  const all: ModelEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
}

/** A signal that is never aborted. */
export function noAbort(): AbortSignal {
  return new AbortController().signal;
}
