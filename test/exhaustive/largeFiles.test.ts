/** Large files keep their bytes as all others do; the table is in `test/support/fileKinds.ts`. */
import { test } from "vitest";
import { largeKinds, tryKind } from "../support/fileKinds.ts";

test.each(Object.entries(largeKinds))("%s", (_, kind) => tryKind(kind));
