/** Names a text by its content, so that host and client can tell that they speak of the same. */
import { createHash } from "node:crypto";

/** SHA-256 of a document's text as UTF-8, in base64url. */
export function textDigest(text: string): string {
  return createHash("sha256").update(text).digest("base64url");
}
