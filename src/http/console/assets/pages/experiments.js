// Experiments: what came of both arms, and what that proves.
//
// Invariant: the verdict comes before the figures, and no difference is shown without its interval.

import { ALL, get, path } from '../api.js';
import { el, svg, to } from '../dom.js';
import { count, decimal, figure, instant, percent } from '../format.js';
import { covered, heading, notice, panel, table } from '../parts.js';

export const title = (parts) => parts[1] ?? 'Experiments';

export async function show(view) {
  if (view.parts[1]) return one(view, await get(path`experiments/${view.parts[1]}`, ALL, view.signal));
  const told = await get('experiments', ALL, view.signal);
  const columns = [
    {
      name: 'Experiment',
      of: (row) => el('a', { href: to(['experiments', row.experiment]), class: 'id' }, row.experiment),
      sort: (row) => row.experiment,
      head: true,
    },
    { name: 'Exposed', of: (row) => count(exposed(row)), sort: exposed, number: true },
    { name: 'Conversion', of: (row) => [found(row.conversion), within(row.conversion, points)], sort: (row) => row.conversion?.finding },
    { name: 'Value for each exposed', of: (row) => [found(row.value), within(row.value, signed)], sort: (row) => row.value?.finding },
    { name: 'Arms', of: (row) => dealt(row) },
  ];
  view.show(
    heading('Experiments', 'A part of those who enter is left alone; what came of both parts is compared.'),
    covered(told.partitions),
    panel('Did it pay?', table('Experiments', columns, told.experiments, 'No segment has an experiment.')),
  );
}

function one(view, told) {
  const { goal } = told;
  view.show(
    heading(told.experiment, [
      el('a', { href: to(['segments', told.experiment]) }, 'To the segment'),
      ` · ${told.holdout} held out`,
      goal ? ` · goal ${goal.stream} within ${goal.within}` : '',
      told.as_of ? ` · as of ${instant(told.as_of)}` : '',
    ]),
    covered(told.partitions),
    panel(
      'Verdict',
      told.verdict.map((sentence) => el('p', { class: 'verdict-line' }, sentence)),
    ),
    panel(
      'Difference',
      el(
        'p',
        { class: 'hint' },
        `Treatment less control, with the interval that holds the true difference in ${figure(100 * told.confidence)}% of such experiments.`,
      ),
      differences(told),
    ),
    el('div', { class: 'columns' }, panel('Arms', arms(told)), panel('Sample ratio', ratio(told))),
  );
}

function exposed({ arms: { treatment, control } }) {
  return treatment.exposed + control.exposed;
}

const FOUND = {
  higher: ['higher in treatment', 'good'],
  lower: ['lower in treatment', 'bad'],
  inconclusive: ['inconclusive', 'soft'],
  unknown: ['too little to tell', 'soft'],
};

function found(comparison) {
  const [words, state] = FOUND[comparison?.finding] ?? FOUND.unknown;
  return el('span', { class: `finding ${state}` }, words);
}

/** `−3.4 to +14.9 points`: where the true difference lies. */
function within(comparison, shown) {
  return Number.isFinite(comparison?.low)
    ? el('span', { class: 'soft' }, ` ${shown(comparison.low).replace(' points', '')} to ${shown(comparison.high)}`)
    : null;
}

function points(share) {
  return `${signed(100 * share)} points`;
}

function differences(told) {
  const rows = [{ name: 'Converted', of: told.conversion, shown: points, plain: (share) => `${figure(100 * share)} points` }];
  if (told.goal?.value)
    rows.push({ name: `${told.goal.stream}.${told.goal.value} for each exposed`, of: told.value, shown: signed, plain: figure });
  return el(
    'div',
    { class: 'differences' },
    rows.map(({ name, of, shown, plain }) => [
      el('h3', {}, name, ' ', found(of)),
      Number.isFinite(of?.low)
        ? [
            interval(of, name, shown),
            el(
              'p',
              {},
              `${shown(of.difference)}, between ${shown(of.low)} and ${shown(of.high)}.`,
              Number.isFinite(of.detectable) ? ` A difference below ${plain(of.detectable)} could not have been seen.` : '',
            ),
          ]
        : el('p', { class: 'empty' }, 'Too few customers to estimate it.'),
    ]),
  );
}

function signed(number) {
  return `${number > 0 ? '+' : number < 0 ? '−' : ''}${figure(Math.abs(number))}`;
}

/** The interval as a bar, with 0 as a line: does the bar leave it out? */
function interval({ low, high, difference, finding }, name, shown) {
  const [from, until] = [Math.min(low, 0), Math.max(high, 0)];
  const room = (until - from || 1) * 0.08;
  const x = (value) => (600 * (value - from + room)) / (until - from + 2 * room);
  return svg(
    'svg',
    {
      class: `interval ${finding}`,
      viewBox: '0 0 600 56',
      role: 'img',
      'aria-label': `${name}: ${shown(difference)}, from ${shown(low)} to ${shown(high)}`,
    },
    svg('line', { x1: 0, x2: 600, y1: 24, y2: 24, class: 'axis' }),
    svg('line', { x1: x(0), x2: x(0), y1: 4, y2: 44, class: 'zero' }),
    svg('rect', { x: x(low), width: x(high) - x(low), y: 18, height: 12, rx: 3, class: 'bar' }),
    svg('circle', { cx: x(difference), cy: 24, r: 5, class: 'dot' }),
    svg('text', { x: x(0), y: 55, 'text-anchor': 'middle' }, '0'),
  );
}

function arms(told) {
  const { treatment, control } = told.arms;
  const share = (arm, number) => (arm.exposed > 0 ? `${count(number)} (${percent(number / arm.exposed)})` : count(number));
  const each = (arm) => (arm.exposed > 0 ? figure(Number(arm.value) / arm.exposed) : '–');
  const rows = [
    ['Exposed', (arm) => count(arm.exposed)],
    ['Still open', (arm) => share(arm, arm.open)],
    ...(treatment.steps ?? []).map((step, i) => [
      i === 0 ? `First ${step.stream}` : `Then ${step.stream}`,
      (arm) => share(arm, arm.steps[i]?.reached ?? 0),
    ]),
  ];
  if (told.goal) {
    rows.push(['Converted', (arm) => share(arm, arm.converted)], [told.goal.stream, (arm) => count(arm.goals)]);
    if (told.goal.value) rows.push([`${told.goal.stream}.${told.goal.value}`, (arm) => decimal(arm.value)], ['For each exposed', each]);
  }
  const columns = [
    { name: 'Figure', of: ([name]) => name, head: true },
    { name: 'Treatment', of: ([, of]) => of(treatment), number: true },
    { name: 'Control', of: ([, of]) => of(control), number: true },
  ];
  const recounted = treatment.recounted + control.recounted;
  return [
    table('Arms', columns, rows),
    recounted > 0 ? notice(`${count(recounted)} customers were exposed under another goal: theirs may not be all.`) : null,
  ];
}

function dealt(told) {
  const ratio = told.sample_ratio;
  if (!ratio) return el('span', { class: 'soft' }, exposed(told) > 0 ? 'too few to tell' : 'nobody yet');
  return el('span', { class: ratio.plausible ? 'met' : 'unmet' }, ratio.plausible ? 'as dealt' : 'not as dealt');
}

function ratio(told) {
  if (!told.sample_ratio) return el('p', {}, dealt(told));
  const { p, plausible } = told.sample_ratio;
  const share = percent(told.arms.control.exposed / exposed(told));
  return [
    el('p', {}, dealt(told), ` ${share} of the exposed are in control, ${told.holdout} are due (p = ${p.toFixed(3)}).`),
    plausible
      ? null
      : notice(
          'No difference counts until it is found why: was the holdout changed while it ran, or are events of one arm lost on their way?',
        ),
  ];
}
