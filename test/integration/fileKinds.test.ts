/** Every kind of file keeps its bytes, mode and links; the table is in `test/support/fileKinds.ts`. */
import { test } from "vitest";
import { kinds, tryKind } from "../support/fileKinds.ts";

test.each(Object.entries(kinds))("%s", (_, kind) => tryKind(kind));
