/**
 * Fails a test file that leaves child processes, servers or watchers behind.
 *
 * Not here: what they are for. Easily got wrong: handles close on later turns of the event loop, so the check yields to
 * the loop a bounded number of times before it complains; it never waits for a fixed time.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterAll, expect } from "vitest";

const watched = new Set(["ProcessWrap", "TCPServerWrap", "PipeServerWrap", "Timeout", "FSEventWrap", "StatWatcher"]);

function held(): string[] {
  return process.getActiveResourcesInfo().filter((name) => watched.has(name));
}

const before = held();

afterAll(async () => {
  const added = () => {
    const rest = [...before];
    return held().filter((name) => {
      const at = rest.indexOf(name);
      if (at >= 0) rest.splice(at, 1);
      return at < 0;
    });
  };
  for (let turns = 0; turns < 500 && added().length > 0; turns++) await nextTurn();
  expect(
    added().filter((name) => name !== "Timeout"),
    "handles left open by this test file",
  ).toEqual([]);
});
