import { defineConfig } from "vitest/config";

/** What takes too long for every run, or needs a browser: its own part of `npm test`. */
export default defineConfig({
  test: {
    include: ["test/{exhaustive,page}/**/*.test.ts"],
    setupFiles: ["test/support/leaks.ts"],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 240_000,
  },
});
