// The questions that a person asks, each answered in the console alone.

import { expect, open, panel, test } from './browser.mjs';

/** Sixty-four shoppers, ann and four with odd ids; what happened is in tests/console.rs. */
const LOYAL = '69';

test('how many are in it', async ({ page }) => {
  await open(page, '#/segments');
  const row = page.getByRole('row', { name: /Loyal shoppers/ });
  await expect(row.getByRole('cell').first()).toHaveText(LOYAL);
  await page.getByRole('link', { name: 'Loyal shoppers' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Loyal shoppers' })).toBeVisible();
  await expect(page.locator('.tile', { hasText: 'In it now' })).toContainText(LOYAL);
});

test('since when does it grow, and by what', async ({ page }) => {
  await open(page, '#/segments/loyal');
  const past = panel(page, 'Over time');
  await past.getByRole('button', { name: '90 days' }).click();
  await expect(past).toContainText('It has grown since 1 Jan 2026: from 0 to 69. Most: 70, on 31 Jan 2026.');
  await expect(past.getByRole('group', { name: 'Members over time' }).locator('canvas')).toBeVisible();
  await expect(past).toContainText('70 came and 1 went in this time');
  await past.getByRole('button', { name: '7 days' }).click();
  await expect(past).toContainText('It has shrunk since 31 Jan 2026: from 70 to 69.');
});

test('who is in it', async ({ page }) => {
  await open(page, '#/segments/loyal');
  const who = panel(page, 'Who is in it');
  await who.getByRole('button', { name: 'Show who is in it' }).click();
  const rows = who.getByRole('rowheader');
  await expect(rows).not.toHaveCount(0);
  while (await who.getByRole('button', { name: 'Show more' }).isVisible()) await who.getByRole('button', { name: 'Show more' }).click();
  await expect(rows).toHaveCount(Number(LOYAL));
  await who.getByRole('link', { name: 'ann' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'ann' })).toBeVisible();
});

test('why is she in, and when will she leave', async ({ page }) => {
  await open(page, '#/customers/ann');
  const membership = panel(page, 'In these segments').getByRole('row', { name: /Loyal shoppers/ });
  await expect(membership).toContainText('14 Jan 2026, 10:00');
  await expect(membership).toContainText('9 Feb 2026, 10:00');
  await expect(membership).toContainText('in 8 d');
  await page.getByLabel('Segment', { exact: true }).fill('loyal');
  const why = page.locator('details.why');
  await expect(why).toHaveCount(1);
  await expect(why.locator('summary')).toContainText('leaves in 8 d');
  await expect(why.locator('.words')).toHaveText(
    'In it since 14 Jan 2026, 10:00, because count(orders last 30d) is 3, > 2 and every(orders last 30d: total > 20) holds. ' +
      'If nothing happens this changes in 8 d 10 h, at 9 Feb 2026, 10:00.',
  );
});

test('why is he not, and what is missing', async ({ page }) => {
  await open(page, '#/customers/bob?why=loyal');
  const why = page.locator('details.why');
  await expect(why).toHaveCount(1);
  await expect(why.locator('summary')).toContainText('missing: 1 more of count(orders last 30d)');
  await expect(why.locator('.words')).toHaveText(
    'Was never in it. What is missing: 1 more of count(orders last 30d). Time alone will not change this.',
  );
  const condition = why.getByRole('row', { name: /count\(orders last 30d\)/ }).first();
  await expect(condition).toContainText('no');
  await expect(condition).toContainText('> 2');
});

test('how will it be then', async ({ page }) => {
  await open(page, '#/customers/ann?why=loyal');
  await expect(page.locator('details.why.in')).toHaveCount(1);
  await page.getByLabel('As it will be at (UTC)').fill('2026-02-09T12:00');
  await expect(page.locator('details.why.out')).toHaveCount(1);
  await expect(page.locator('details.why .words')).toContainText('1 more of count(orders last 30d)');
});

test('who moved from where to where', async ({ page }) => {
  await open(page, '#/ladders/life');
  const moves = panel(page, 'Moves of Life cycle');
  await moves.getByRole('button', { name: '90 days' }).click();
  // By time alone, when the last order is twenty days old.
  await expect(moves.getByTitle(/ from Active to Sleeping$/)).toHaveText('34');
});

test('what happened to her', async ({ page }) => {
  await open(page, '#/customers/cleo');
  const rows = panel(page, 'Timeline').getByRole('row');
  await expect(rows.filter({ hasText: 'leaves' }).filter({ hasText: 'Loyal shoppers' })).toContainText('31 Jan 2026, 01:00');
  await expect(rows.filter({ hasText: 'enters' }).filter({ hasText: 'Loyal shoppers' })).toContainText('count(orders last 30d) is 3, > 2');
});

test('did the coupon pay', async ({ page }) => {
  await open(page, '#/experiments');
  await page.getByRole('link', { name: 'loyal', exact: true }).click();
  await expect(panel(page, 'Verdict')).toContainText('the interval of the difference');
  await expect(panel(page, 'Verdict')).toContainText('could not have been seen');
  await expect(panel(page, 'Difference').getByRole('img', { name: /^Converted: / })).toBeVisible();
  await expect(panel(page, 'Arms').getByRole('row', { name: /^Exposed/ })).toBeVisible();
  await expect(panel(page, 'Sample ratio')).toContainText('50% are due');
});

test('who comes and goes right now', async ({ page }) => {
  await open(page, '#/segments/looking');
  await expect(panel(page, 'Right now').locator('.live.on')).toBeVisible();
  await expect(panel(page, 'Right now').getByRole('listitem').first()).toContainText('enters live-');
});

test('is it well, and how far behind', async ({ page }) => {
  await open(page);
  await expect(page.locator('.ready')).toContainText('Ready');
  await expect(page.locator('.tile', { hasText: 'Partitions' })).toContainText('2 / 2');
  await expect(panel(page, 'Partitions').getByRole('row')).toHaveCount(3);
  await expect(panel(page, 'Partitions')).toContainText('1 Feb 2026');
  // A rate needs two answers.
  await expect(panel(page, 'Events a second').locator('.plot-words')).toContainText(/now [\d.]/);
});

test('is this rule right, and what would it say of him', async ({ page }) => {
  await open(page, '#/playground');
  const rule = page.getByRole('textbox', { name: 'Rule' });
  await rule.fill('count(ordrs last 30d) > 1');
  await expect(page.locator('.diagnostics')).toContainText('did you mean orders?');
  await expect(page.locator('.behind mark')).toHaveText('ordrs');
  await page.getByRole('button', { name: 'Use orders' }).click();
  await expect(rule).toHaveValue('count(orders last 30d) > 1');
  await expect(page.locator('.checked')).toContainText('It is right');
  await page.getByLabel('Customer id', { exact: true }).last().fill('bob');
  await expect(page.locator('details.why.in')).toContainText('Would be in it, because count(orders last 30d) is 2, > 1.');
});

test('how many would be in it, before it comes into force', async ({ page }) => {
  await open(page, '#/playground?when=count(orders%20lifetime)%20%3E%202');
  await expect(page.locator('.checked')).toContainText('It is right');
  const everybody = panel(page, 'For everybody');
  await everybody.getByRole('button', { name: 'Count who would be in it' }).click();
  await expect(everybody.getByRole('row', { name: /^The rule/ }).getByRole('cell').last()).toHaveText('70');
  await expect(everybody).toContainText('Nothing has come into force.');
});
