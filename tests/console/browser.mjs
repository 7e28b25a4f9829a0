// What every test begins with: a page with a token, that watches for what must never happen.
//
// Invariant: whatever a test looks at, it fails if a policy was violated, a script of data ran, or the console itself failed.

import { test as base, expect } from '@playwright/test';

export { expect };

export const test = base.extend({
  /** The token that is given before the page opens; none with `''`. */
  token: [process.env.CONSOLE_TOKEN, { option: true }],
  page: async ({ page, token, baseURL }, use) => {
    const wrong = [];
    page.on('pageerror', (error) => wrong.push(`failed: ${error.message}`));
    page.on('dialog', (dialog) => wrong.push(`a dialog: ${dialog.message()}`) && dialog.dismiss());
    page.on('request', (request) => {
      if (!request.url().startsWith(baseURL)) wrong.push(`asked elsewhere: ${request.url()}`);
    });
    page.on('console', (message) => {
      if (/Content Security Policy|Refused to/.test(message.text())) wrong.push(message.text());
    });
    await page.addInitScript((kept) => {
      if (location.protocol === 'about:') return;
      // Once: a token that the page takes away stays away.
      if (kept && !sessionStorage.getItem('given')) sessionStorage.setItem('segmentd-token', kept);
      sessionStorage.setItem('given', 'yes');
    }, token);
    await use(page);
    expect(wrong).toEqual([]);
  },
});

/** Opens a page of the console and waits until it has its answers. */
export async function open(page, hash = '') {
  // From one hash to another the document stays, and what is seen at once may be of the page before.
  await page.goto('about:blank');
  await page.goto(`/console/${hash}`);
  await expect(page.locator('main')).not.toHaveAttribute('aria-busy');
  await expect(page.locator('h1')).toBeVisible();
}

export const panel = (page, name) => page.getByRole('region', { name, exact: true });
