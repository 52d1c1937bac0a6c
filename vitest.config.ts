import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // Journeys start whole environments of several processes; two cores carry two of them at once.
    maxWorkers: 2,
  },
});
