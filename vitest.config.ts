import { defineConfig } from "vitest/config";

/** What is quick and needs neither VS Code nor a browser: architecture, unit, contract and integration tests. */
export default defineConfig({
  test: {
    include: ["test/architecture.test.ts", "test/{unit,contract,integration}/**/*.test.{ts,tsx}"],
    globalSetup: ["test/support/bundleHost.ts"],
    setupFiles: ["test/support/leaks.ts"],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 20_000,
    hookTimeout: 20_000,
    teardownTimeout: 5_000,
    dangerouslyIgnoreUnhandledErrors: false,
  },
});
