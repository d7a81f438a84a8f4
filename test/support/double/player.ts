/**
 * Sends the frames of one answer: paced, cut into socket writes, with every hold and fault at its exact place.
 *
 * Not here: what the frames say. Easily got wrong: bytes before a cut are handed to the kernel before the socket is
 * destroyed, so a client sees exactly those; two small writes may still reach it as one.
 */
import type { ServerResponse } from "node:http";
import type { Action, Answer } from "./answer.ts";
import type { Gates } from "./gates.ts";
import type { Pace } from "./timing.ts";
import type { Frame, Wire } from "./wire.ts";

/** What the player needs to know. */
export interface Performance {
  readonly frames: readonly Frame[];
  readonly answer: Answer;
  readonly wire: Wire;
  readonly headers: Readonly<Record<string, string>>;
  readonly pace: Pace;
  readonly gates: Gates;
  readonly uncached: number;
  readonly chunkBytes: number | undefined;
  /** Called once, just before the first byte of the body. */
  readonly begin: () => void;
  /** Called just before each frame that has tokens is written. */
  readonly sending: () => void;
  /** Called once the last byte was written, before the client can answer to it. */
  readonly completed: () => void;
}

/** How a performance ended: as scripted to its last frame, by a scripted fault, or because the client left. */
export type Ending = "complete" | "fault" | "aborted";

/** Thrown inside the player to leave it from any depth. */
class Over extends Error {
  readonly ending: Ending;

  constructor(ending: Ending) {
    super(ending);
    this.ending = ending;
  }
}

/** Plays an answer to its end. Never throws: a client that leaves is an ending like any other. */
export async function play(response: ServerResponse, show: Performance, signal: AbortSignal): Promise<Ending> {
  try {
    await new Player(response, show, signal).run();
    return "complete";
  } catch (error) {
    if (error instanceof Over) return error.ending;
    if (signal.aborted) return "aborted";
    throw error;
  }
}

class Player {
  readonly #response: ServerResponse;
  readonly #show: Performance;
  readonly #signal: AbortSignal;
  #bytes = 0;
  #byteStops: Performance["answer"]["atBytes"];

  constructor(response: ServerResponse, show: Performance, signal: AbortSignal) {
    this.#response = response;
    this.#show = show;
    this.#signal = signal;
    this.#byteStops = show.answer.atBytes;
  }

  async run(): Promise<void> {
    const { answer, pace, headers, begin, uncached } = this.#show;
    await this.#act(answer.atStart);
    await pace.first(uncached, this.#signal);
    this.#response.writeHead(200, headers);
    if (answer.atHeaders.length > 0 || this.#byteStops[0]?.count === 0) this.#response.flushHeaders();
    await this.#act(answer.atHeaders);
    begin();
    await this.#actAt(answer.atEvents, 0);
    const frames = ordered(this.#show.frames, answer.swaps);
    for (const [index, frame] of frames.entries()) {
      // A client may answer the last event before this code runs again, so the answer counts as complete from here on.
      const last = index === frames.length - 1 && !breaksAfter(frame, answer, index + 1);
      if (frame.closing) await this.#act(answer.atEnd);
      await pace.write(frame.tokens, this.#signal);
      if (last && this.#byteStops.length === 0) this.#show.completed();
      if (frame.tokens > 0) this.#show.sending();
      await this.#write(Buffer.from(frame.text));
      await this.#act(frame.after);
      await this.#actAt(answer.atEvents, index + 1);
    }
    await new Promise<void>((resolve) => this.#response.end(resolve));
  }

  async #actAt(stops: Answer["atEvents"], count: number): Promise<void> {
    await this.#act(stops.filter((stop) => stop.count === count).map((stop) => stop.action));
  }

  async #act(actions: readonly Action[]): Promise<void> {
    for (const action of actions) await this.#actOnce(action);
  }

  async #actOnce(action: Action): Promise<void> {
    const { wire, gates, pace } = this.#show;
    switch (action.type) {
      case "hold":
        await gates.pass(action.name, this.#signal);
        return pace.resume();
      case "cut":
        this.#response.socket?.destroy();
        throw new Over("fault");
      case "end":
        await new Promise<void>((resolve) => this.#response.end(resolve));
        throw new Over("fault");
      case "garbage":
        return this.#send(action.bytes);
      case "error":
        await this.#send(Buffer.from(wire.errorEvent(action.error)));
        await new Promise<void>((resolve) => this.#response.end(resolve));
        throw new Over("fault");
      case "unknown":
        return this.#send(Buffer.from(wire.unknown));
      case "ping":
        return this.#send(Buffer.from(wire.ping));
    }
  }

  /** Sends bytes of the answer itself, stopping wherever a byte position says so. */
  async #write(bytes: Buffer): Promise<void> {
    let rest = bytes;
    for (;;) {
      const [stop, ...later] = this.#byteStops;
      if (!stop || stop.count > this.#bytes + rest.length) break;
      const before = stop.count - this.#bytes;
      await this.#send(rest.subarray(0, before));
      this.#bytes += before;
      rest = rest.subarray(before);
      this.#byteStops = later;
      await this.#actOnce(stop.action);
    }
    await this.#send(rest);
    this.#bytes += rest.length;
  }

  async #send(bytes: Buffer): Promise<void> {
    const size = this.#show.chunkBytes ?? bytes.length;
    for (let at = 0; at < bytes.length; at += size) {
      await this.#sendOnce(bytes.subarray(at, at + size));
      if (this.#show.chunkBytes !== undefined) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #sendOnce(bytes: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#signal.aborted) return reject(new Over("aborted"));
      this.#response.write(bytes, (error) => (error ? reject(new Over("aborted")) : resolve()));
    });
  }
}

function breaksAfter(frame: Frame, answer: Answer, count: number): boolean {
  return frame.after.length > 0 || answer.atEvents.some((stop) => stop.count >= count);
}

function ordered(frames: readonly Frame[], swaps: readonly number[]): Frame[] {
  const out = [...frames];
  for (const at of swaps) {
    const [first, second] = [out[at], out[at + 1]];
    if (!first || !second) throw new Error(`The answer has ${frames.length} events, too few to swap at ${at}.`);
    out[at] = second;
    out[at + 1] = first;
  }
  return out;
}
