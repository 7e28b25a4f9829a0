// Two processes with a partition each, seen in the console of one: its figures are of both, and where they are not it says so.

import { expect, open, panel, test } from './browser.mjs';

/** Customers of both, of whom each has bought once; tests/support/scene.rs sends their orders. */
const BUYERS = '40';

test('the overview names every process, and what is of both', async ({ page }) => {
  await open(page);
  const rows = panel(page, 'Processes').getByRole('row');
  await expect(rows).toHaveCount(3);
  await expect(page.locator('.ready')).toHaveText(/^Ready2 of 2 processes are ready$/);
  await expect(page.locator('.tile', { hasText: 'Partitions' })).toContainText('2 / 2');
  await expect(panel(page, 'Partitions').getByRole('row')).toHaveCount(3);
  await expect(panel(page, 'What came in').getByRole('row', { name: /orders/ })).toContainText(BUYERS);
  await expect(page.locator('main')).not.toContainText('Not all:');
});

test('how many are in it, and since when, are of both', async ({ page }) => {
  await open(page, '#/segments');
  await expect(page.getByRole('row', { name: /Buyers/ }).getByRole('cell').first()).toHaveText(BUYERS);
  await open(page, '#/segments/buyer');
  await expect(page.locator('.tile', { hasText: 'In it now' })).toContainText(BUYERS);
  await expect(panel(page, 'Over time')).toContainText(`${BUYERS} came and 0 went in this time`);
  await expect(page.locator('.tiles')).not.toContainText('Not all:');
});

test('who is in it, and what happens now, are of both', async ({ page }) => {
  await open(page, '#/segments/buyer');
  const who = panel(page, 'Who is in it');
  await who.getByRole('button', { name: 'Show who is in it' }).click();
  await expect(who.getByRole('row')).toHaveCount(Number(BUYERS) + 1);
  await expect(who).not.toContainText('Not all:');
  await expect(panel(page, 'Right now')).toContainText('Listening');
  await expect(panel(page, 'Right now')).not.toContainText('Not all:');
});

test('a process that does not answer is named on every page that counts', async ({ page }) => {
  const unreached = [{ address: 'http://gone:8080', partitions: [1], why: 'no answer within 2 s' }];
  // The live stream goes on: there is no end of it to wait for.
  await page.route(/^(?!.*\/transitions).*processes=all/, async (route) => {
    const response = await route.fetch();
    const told = await response.json();
    await route.fulfill({ response, json: { ...told, partitions: { here: [0], of: 2, partial: true, unreached } } });
  });
  for (const hash of ['', '#/segments', '#/segments/buyer', '#/ladders', '#/experiments']) {
    await open(page, hash);
    const notice = page.locator('.notice', { hasText: 'Not all:' }).first();
    await expect(notice).toContainText('these figures are of partition 0; there are 2.');
    await expect(notice).toContainText('http://gone:8080 has partition 1: no answer within 2 s');
    if (hash === '') await expect(page.locator('.ready')).toHaveText(/^Not ready2 of 3 processes are ready$/);
  }
});
