import { defineConfig } from "vitest/config"

// Two workers at most: the tests share the machine with a PostgreSQL, a Kafka and the processes they start and kill.
export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // What one file of tests starts must not be waited for by another.
    isolate: true
  }
})
