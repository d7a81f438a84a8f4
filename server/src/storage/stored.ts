/**
 * What every store does alike: numbers events, names byte strings, and words its refusals.
 *
 * Not here: keeping anything. Easily got wrong: callers branch on the class or the code of an error, people read its text.
 */
import { createHash } from "node:crypto";
import { RequestError } from "../base/errors.ts";
import type { SessionEvent, SessionEventBody } from "../protocol/events.ts";
import type { BlobId, SessionId } from "../protocol/types.ts";
import { StaleSessionError } from "./store.ts";

/** Bodies with their positions after `seq`. */
export function numbered(seq: number, at: number, bodies: readonly SessionEventBody[]): readonly SessionEvent[] {
  return bodies.map((body, index) => ({ seq: seq + 1 + index, at, ...body }));
}

/** The name of a byte string. */
export function blobIdOf(bytes: Uint8Array): BlobId {
  return createHash("sha256").update(bytes).digest("hex") as BlobId;
}

/** The error for an append at a position that is not the last. */
export function staleSession(id: SessionId, expectedSeq: number, seq: number): StaleSessionError {
  return new StaleSessionError(
    `Session ${id} has moved on to event ${seq} while this writer was at ${expectedSeq}: another window or terminal writes to it. Load the session again.`,
  );
}

/** The error for a session that is not there. */
export function unknownSession(id: SessionId): RequestError {
  return new RequestError("unknown_session", `There is no session ${id}. It may have been deleted.`);
}

/** The error for a blob that is not there. */
export function unknownBlob(id: BlobId): RequestError {
  return new RequestError("unknown_blob", `There is no stored text ${id}. It may have been deleted.`);
}
