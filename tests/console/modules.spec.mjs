// What the console's modules compute, each by itself: in the browser that runs them.

import { expect, open, test } from './browser.mjs';

/** What `use` makes of a module of the console. */
async function of(page, module, use, argument) {
  await open(page, '#/nowhere');
  const body = `import('/console/${module}').then((it) => (${use})(it, ${JSON.stringify(argument)}))`;
  return page.evaluate(body);
}

test('a scrape is read with its labels, and a series that is not there is nothing', async ({ page }) => {
  const text = '# HELP a x\n# TYPE a counter\na{b="x \\"y\\" \\\\ z\\n",c="1"} 3\na{b="q",c="2"} 4.5\nplain 1e3\nbad line here\n';
  const told = await of(
    page,
    'prometheus.js',
    (it, given) => {
      const scrape = it.parse(given);
      return [
        scrape.sum('a'),
        scrape.by('a', 'b'),
        scrape.at('a', { c: '2' }),
        scrape.sum('plain'),
        scrape.sum('none'),
        scrape.at('a', { c: '9' }),
        it.together([scrape, it.parse('a{c="2"} 1\n')]).at('a', { c: '2' }),
      ];
    },
    text,
  );
  expect(told).toEqual([
    7.5,
    [
      ['q', 4.5],
      ['x "y" \\ z\n', 3],
    ],
    4.5,
    1000,
    null,
    null,
    5.5,
  ]);
});

test('a rate and a quantile are of the time between two scrapes', async ({ page }) => {
  const bucket = (low, high, all) => `n ${all}\nt_bucket{le="0.1"} ${low}\nt_bucket{le="0.2"} ${high}\nt_bucket{le="+Inf"} ${all}\n`;
  const told = await of(
    page,
    'prometheus.js',
    (it, [one, other]) => {
      const [before, after] = [it.parse(one), it.parse(other)];
      return [
        it.rate(before, after, 'n', 2),
        it.rate(null, after, 'n', 2),
        it.rate(after, before, 'n', 2),
        it.quantile(before, after, 't', 0.5),
        it.quantile(after, after, 't', 0.5),
        it.quantile(null, before, 't', 1),
      ];
    },
    [bucket(10, 10, 10), bucket(10, 20, 20)],
  );
  // The ten that came lie between 0.1 and 0.2.
  expect(told).toEqual([5, null, null, expect.closeTo(0.15), null, expect.closeTo(0.1)]);
});

const SIZES = [
  [[0, 0, 3, 9], 'It has grown since 2 Jan 2026: from 0 to 9. Most: 9, on 4 Jan 2026.'],
  [[9, 9, 3, 1], 'It has shrunk since 2 Jan 2026: from 9 to 1. Least: 1, on 4 Jan 2026.'],
  [[1, 70, 69], 'It has grown since 1 Jan 2026: from 1 to 69. Most: 70, on 2 Jan 2026.'],
  [[4, 4, 4], 'It has been 4 all the time.'],
  [[null, null], 'Its size is still being counted.'],
];

test('since when a segment grows is said of its sizes', async ({ page }) => {
  const points = (sizes) => sizes.map((members, i) => ({ at: `2026-01-0${i + 1}T00:00:00.000Z`, members, entered: {}, exited: {} }));
  const told = await of(
    page,
    'pages/growth.js',
    (it, given) => given.map((one) => it.growth(one)),
    SIZES.map(([sizes]) => points(sizes)),
  );
  expect(told).toEqual(SIZES.map(([, sentence]) => sentence));
});

test('a place in bytes is found in the text, whatever letters stand before it', async ({ page }) => {
  const text = 'ł☃𝒳 x';
  const at = Buffer.from(text).indexOf('x');
  expect(await of(page, 'editor.js', (it, [given, bytes]) => it.letters(given, bytes), [text, [at, at + 1]])).toEqual([5, 6]);
});

test('an event of a stream is read, and a comment is none', async ({ page }) => {
  const blocks = ['event: transition\nid: 5\ndata: {"a":"b: c"}', ': alive', 'data:x'];
  const told = await of(page, 'stream.js', (it, given) => given.map((one) => it.parsed(one)), blocks);
  expect(told).toEqual([
    { kind: 'transition', data: '{"a":"b: c"}' },
    { kind: 'message', data: '' },
    { kind: 'message', data: 'x' },
  ]);
});

test('an address that is a script is no link', async ({ page }) => {
  const addresses = ['javascript:alert(1)', 'data:text/html,x', ' javascript:x', 'http://other:8080/console/', '#/segments'];
  const told = await of(page, 'dom.js', (it, given) => given.map((href) => it.el('a', { href }).getAttribute('href')), addresses);
  expect(told).toEqual(['#', '#', '#', 'http://other:8080/console/', '#/segments']);
});

test('an axis of a single instant is some seconds long', async ({ page }) => {
  const told = await of(page, 'charts.js', (it) => [it.extent([100], 100, 86_400_100), it.extent([100, 160], 100, 160)]);
  expect(told).toEqual([
    [100, 110],
    [100, 160],
  ]);
});

test('numbers and spans are said as people read them', async ({ page }) => {
  const told = await of(page, 'format.js', (it) => [
    it.decimal('1234567.50'),
    it.decimal('-1234'),
    it.decimal('true'),
    it.decimal(''),
    it.decimal(null),
    it.span(90061000),
    it.span(12),
    it.count(null),
    it.relative('2026-01-02T00:00:00Z', '2026-01-01T00:00:00Z'),
    it.relative('2026-01-01T00:00:00Z', '2026-01-01T01:30:00Z'),
    it.instant('2026-01-31T10:00:00.000Z'),
    it.instant('2026-01-31T10:00:07.005Z'),
    it.listed(['a', 'b', 'c']),
  ]);
  expect(told).toEqual([
    '1,234,567.50',
    '-1,234',
    'true',
    '""',
    'none',
    '1 d 1 h',
    '12 ms',
    '–',
    'in 1 d',
    '1 h 30 min ago',
    '31 Jan 2026, 10:00',
    '31 Jan 2026, 10:00:07.005',
    'a, b and c',
  ]);
});

test('a rule is broken before its outer words, and never inside a text', async ({ page }) => {
  const rule = 'a(x where b and c) > 1 and trait.n == "p and q (" or d > 2';
  expect(await of(page, 'words.js', (it, given) => it.rule(given).textContent, rule)).toBe(
    'a(x where b and c) > 1\nand trait.n == "p and q ("\nor d > 2',
  );
});
