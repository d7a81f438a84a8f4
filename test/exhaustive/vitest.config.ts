import { defineConfig } from "vitest/config";

/** What takes too long for every run: its own part of `npm test`. */
export default defineConfig({
  test: {
    include: ["test/exhaustive/**/*.test.ts"],
    setupFiles: ["test/support/leaks.ts"],
    pool: "forks",
    maxWorkers: 1,
    testTimeout: 240_000,
  },
});
