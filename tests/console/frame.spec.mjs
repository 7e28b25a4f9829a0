// What holds on every page: nothing of data is run, it can be used by everybody, on any screen, with and without a token.

import AxeBuilder from '@axe-core/playwright';
import { expect, open, panel, test } from './browser.mjs';

const PAGES = [
  '',
  '#/segments',
  '#/segments/loyal',
  '#/segments/odd',
  '#/ladders',
  '#/ladders/life',
  '#/customers',
  '#/customers/ann',
  '#/customers/nobody',
  '#/experiments',
  '#/experiments/loyal',
  '#/playground?when=count(ordrs%20last%201d)%20%3E%201',
  '#/access',
  '#/nowhere',
];

/** Ids as somebody may have them, in or out of spite; tests/console.rs sends their orders. */
const ODD = ['a/b c?d#e', '<img src=x onerror=document.title=1>', 'Łukasz ☃ 한국', '100%25'];

for (const [scheme, rules] of [
  ['light', 'all'],
  ['dark', 'contrast'],
]) {
  test(`everybody can use every page, ${scheme}`, async ({ page }) => {
    test.setTimeout(150_000);
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' });
    for (const hash of PAGES) {
      await open(page, hash);
      const axe = new AxeBuilder({ page });
      // Only the colours are others in the dark.
      if (rules === 'contrast') axe.withRules(['color-contrast']);
      else axe.withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice']);
      const found = await axe.analyze();
      expect(found.violations.map(({ id, nodes }) => `${hash || 'overview'}: ${id}: ${nodes.map((node) => node.html).join(' ')}`)).toEqual(
        [],
      );
    }
  });
}

for (const colorScheme of ['light', 'dark']) {
  test(`a button can be read while the pointer is on it, ${colorScheme}`, async ({ page }) => {
    await page.emulateMedia({ colorScheme });
    for (const [hash, name] of [
      ['#/segments/loyal', '30 days'],
      ['#/access', 'Use it'],
      ['#/access', 'Forget the one in use'],
    ]) {
      await open(page, hash);
      await page.getByRole('button', { name }).hover();
      const found = await new AxeBuilder({ page }).include('button:hover').withRules(['color-contrast']).analyze();
      expect(found.violations.flatMap(({ nodes }) => nodes.map((node) => node.html))).toEqual([]);
    }
  });
}

test('every page fits a narrow screen', async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  for (const hash of PAGES) {
    await open(page, hash);
    expect(await page.evaluate(() => document.documentElement.scrollWidth), hash).toBeLessThanOrEqual(390);
  }
});

for (const id of ODD) {
  test(`the customer ${JSON.stringify(id)} is shown as text and found again`, async ({ page }) => {
    await open(page);
    await page.getByLabel('Customer id').first().fill(id);
    await page.keyboard.press('Enter');
    await expect(page.getByRole('heading', { level: 1 })).toHaveText(id);
    await expect(panel(page, 'In these segments')).toContainText('Loyal shoppers');
    await expect(page).toHaveTitle(`${id} · segmentd`);
    expect(await page.locator('main img, main script').count()).toBe(0);
    await page.reload();
    await expect(page.getByRole('heading', { level: 1 })).toHaveText(id);
  });
}

test('a script in the name of a segment is text', async ({ page }) => {
  await open(page, '#/segments');
  await expect(page.getByRole('link', { name: '<img src=x onerror="document.title=1">' })).toBeVisible();
  await page.getByRole('button', { name: '<b>bold</b>' }).click();
  await expect(page.getByRole('heading', { name: '1 segment' })).toBeVisible();
  await open(page, '#/segments/odd');
  await expect(page.getByText('<script>document.title = 1</script> & "quotes"')).toBeVisible();
  expect(await page.locator('main img, main script, main b').count()).toBe(0);
  expect(await page.title()).toBe('odd · segmentd');
});

test('by keyboard alone: from the top to a customer', async ({ page }) => {
  await open(page);
  await page.keyboard.press('Tab');
  await expect(page.getByRole('link', { name: 'To the content' })).toBeFocused();
  await page.keyboard.press('Tab');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Tab');
  await expect(page.getByRole('link', { name: 'Segments' })).toBeFocused();
  await page.keyboard.press('Enter');
  await expect(page.getByRole('heading', { level: 1, name: 'Segments' })).toBeVisible();
  await expect(page.locator('main')).toBeFocused();
  await page.keyboard.press('Tab');
  await expect(page.getByLabel('Search')).toBeFocused();
  await page.keyboard.type('loyal');
  await expect(page.getByRole('heading', { name: '1 segment' })).toBeVisible();
  await expect(page).toHaveURL(/search=loyal/);
});

test('dark and light are as the system wants, until somebody chooses', async ({ page }) => {
  const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  await page.emulateMedia({ colorScheme: 'dark' });
  await open(page);
  const dark = await paper();
  await page.getByRole('button', { name: 'Switch to light colours' }).click();
  const light = await paper();
  expect(light).not.toBe(dark);
  await page.reload();
  expect(await paper()).toBe(light);
});

test.describe('without a token', () => {
  test.use({ token: '' });

  test('a page asks for one, and shows what it opens', async ({ page }) => {
    await open(page, '#/segments');
    await expect(page.getByRole('heading', { level: 1, name: 'A token, please' })).toBeVisible();
    const field = page.getByLabel('Token');
    await field.fill('wrong');
    await page.keyboard.press('Enter');
    await expect(page.getByText('the token is not known')).toBeVisible();
    await page.getByLabel('Token').fill(process.env.CONSOLE_TOKEN);
    await page.getByRole('button', { name: 'Use it' }).click();
    await expect(page.getByRole('heading', { level: 1, name: 'Segments' })).toBeVisible();
    expect(await page.evaluate(() => JSON.stringify({ ...localStorage }) + location.href + document.cookie)).not.toContain(
      process.env.CONSOLE_TOKEN,
    );
  });
});

test.describe('with a token of too small a scope', () => {
  test.use({ token: process.env.CONSOLE_SMALL_TOKEN });

  test('a page says which scope it lacks', async ({ page }) => {
    await open(page, '#/customers/ann');
    await expect(page.getByRole('heading', { level: 1, name: 'Not with this token' })).toBeVisible();
    await expect(page.locator('main')).toContainText('read:customers');
    await open(page, '#/segments/loyal');
    await expect(panel(page, 'Right now')).toContainText('read:customers');
    await open(page, '#/access');
    await expect(page.getByRole('row', { name: /read:segments/ })).toContainText('yes');
    await expect(page.getByRole('row', { name: /read:customers/ })).toContainText('no: the token lacks this scope');
  });
});

test('a customer of another process leads to its console', async ({ page }) => {
  const problem = {
    title: 'Misdirected Request',
    status: 421,
    detail: "the customer's partition belongs to another process",
    partition: 3,
    owner: 'http://other:8080',
  };
  await page.route('**/api/v1/customers/eve', (route) =>
    route.fulfill({ status: 421, contentType: 'application/problem+json', body: JSON.stringify(problem) }),
  );
  await open(page, '#/customers/eve');
  await expect(page.getByRole('link', { name: 'Ask http://other:8080' })).toHaveAttribute(
    'href',
    'http://other:8080/console/#/customers/eve',
  );
});

test('an answer that is not there yet is asked for again by itself', async ({ page }) => {
  let asked = 0;
  await page.route(/\/api\/v1\/segments\?/, (route) =>
    asked++ > 0
      ? route.continue()
      : route.fulfill({
          status: 503,
          headers: { 'retry-after': '1' },
          contentType: 'application/problem+json',
          body: '{"detail":"it is starting"}',
        }),
  );
  await open(page, '#/segments');
  await expect(page.getByRole('heading', { level: 1, name: 'Not yet' })).toBeVisible();
  await expect(page.getByRole('heading', { level: 1, name: 'Segments' })).toBeVisible();
});
