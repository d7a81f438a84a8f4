/**
 * Writes the hash of `server/src/protocol/` into `server/PROTOCOL.md`. Run it after reading what changed and bringing the
 * document up to date: `node test/updateProtocolHash.mjs`.
 */
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";

const at = (path) => resolve(import.meta.dirname, "..", path);
const hash = createHash("sha256");
for (const name of ["methods", "clientMethods", "tasks", "types", "events", "review"]) {
  hash.update(readFileSync(at(`server/src/protocol/${name}.ts`), "utf8"));
}
const document = readFileSync(at("server/PROTOCOL.md"), "utf8");
const line = `protocol hash: \`${hash.digest("hex").slice(0, 16)}\``;
writeFileSync(at("server/PROTOCOL.md"), document.replace(/protocol hash: `\w+`/, line));
console.log(line);
