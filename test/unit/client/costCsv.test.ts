/** What was spent, as a spreadsheet reads it. */
import { expect, test } from "vitest";
import { toCsv } from "../../../client/src/costCsv.ts";
import type { SessionId } from "../../../server/src/protocol/types.ts";

test("has a line for each row, money in dollars, and quotes what would end a cell", () => {
  const row = {
    day: "2026-11-21",
    model: 'own/a,"b"',
    sessionId: "s1" as SessionId,
    requests: 2,
    tokens: 330,
    promptTokens: 300,
    cacheReadTokens: 100,
    outputTokens: 30,
    nano: 1_500_000_001,
    unpriced: 0,
    estimated: 1,
  };
  expect(toCsv([row])).toBe(
    "day,model,session,usd,requests,prompt_tokens,cached_tokens,output_tokens,unpriced,estimated\n" +
      '2026-11-21,"own/a,""b""",s1,1.500000001,2,300,100,30,0,1\n',
  );
});
