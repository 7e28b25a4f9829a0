// How the browser is started. CONSOLE_URL says where the service is; SEGMENTD_TEST_CHROMIUM which browser, if not Debian's.
//
// Invariant: a browser that is not there is a failure, and nothing is downloaded.

import { existsSync } from 'node:fs';
import { defineConfig } from '@playwright/test';

const browsers = [process.env.SEGMENTD_TEST_CHROMIUM, '/usr/bin/chromium', '/usr/bin/google-chrome'];

export default defineConfig({
  testDir: '.',
  testMatch: '*.spec.mjs',
  fullyParallel: true,
  workers: 2,
  // Generous: what is slow here is a machine that does other things.
  timeout: 45_000,
  expect: { timeout: 15_000 },
  forbidOnly: true,
  reporter: [['line']],
  outputDir: 'results',
  use: {
    baseURL: process.env.CONSOLE_URL,
    colorScheme: 'light',
    viewport: { width: 1280, height: 900 },
    launchOptions: { executablePath: browsers.find((path) => path && existsSync(path)) ?? browsers[1], args: ['--no-sandbox'] },
    trace: 'off',
  },
});
