// What has happened: a segment's size and flows over time, a ladder's moves, a customer's transitions.
//
// Invariant: nothing is made up: where the service keeps no past, or has not read it yet, that is said instead.

import { ALL, get, path, Refusal } from '../api.js';
import { el, fill, segmentLink } from '../dom.js';
import { count, DAY, instant, relative } from '../format.js';
import { covered, panel, table } from '../parts.js';
import { refusedPart } from '../refused.js';
import { growth, overTime } from './growth.js';
import { cause } from '../words.js';

/** How far back is looked, and in which steps. */
const RANGES = [
  ['7 days', 7, '6h'],
  ['30 days', 30, '1d'],
  ['90 days', 90, '1d'],
  ['A year', 365, '7d'],
];
const USUAL = 1;

/** A panel that says itself when there is no past. An answer that a later look has overtaken is not shown. */
function ofThePast(view, name, controls, load) {
  const place = el('div');
  let looks = 0;
  const look = async () => {
    const mine = ++looks;
    const isCurrent = () => mine === looks && !view.signal.aborted;
    try {
      const told = await load(isCurrent);
      if (isCurrent()) fill(place, told);
    } catch (error) {
      if (!isCurrent()) return;
      if (error instanceof Refusal && error.status === 503) setTimeout(() => isCurrent() && look(), 2000);
      fill(
        place,
        error instanceof Refusal && error.status === 404 ? el('p', { class: 'empty' }, 'This service keeps no past.') : refusedPart(error),
      );
    }
  };
  look();
  return { panel: panel(name, controls, place), look };
}

/** Buttons of which one is chosen; `choose(range)`. */
function ranges(choose) {
  const buttons = RANGES.map((range, i) =>
    el(
      'button',
      {
        type: 'button',
        class: 'chip',
        'aria-pressed': String(i === USUAL),
        onclick: () => {
          buttons.forEach((button, other) => button.setAttribute('aria-pressed', String(other === i)));
          choose(range);
        },
      },
      range[0],
    ),
  );
  return el('div', { class: 'fields', role: 'group', 'aria-label': 'How far back' }, buttons);
}

function since(now, days) {
  return now ? new Date(new Date(now) - days * DAY).toISOString() : undefined;
}

/** A segment: since when does it grow, and by what. */
export function past(view, segment) {
  let [range, now] = [RANGES[USUAL], null];
  const drawn = overTime(view, segment);
  const part = ofThePast(
    view,
    'Over time',
    ranges((chosen) => ((range = chosen), part.look())),
    async (isCurrent) => {
      const [, days, step] = range;
      if (now === null) now = (await get(path`segments/${segment.key}/history`, ALL, view.signal)).points.at(-1)?.at ?? null;
      if (now === null) return el('p', { class: 'empty' }, 'Nothing has happened yet.');
      const told = await get(path`segments/${segment.key}/history`, { ...ALL, from: since(now, days), step }, view.signal);
      // Drawn once it is in the page, and has a width.
      queueMicrotask(() => isCurrent() && drawn.show(told.points));
      return [el('p', { class: 'verdict-line' }, growth(told.points)), drawn.element, reach(told), covered(told.partitions)];
    },
  );
  return part.panel;
}

/** So many records are on their way at any moment. */
const USUAL_LAG = 1000;

function reach({ since: from, lag_records: lag }) {
  const kept = from ? `The past is known from ${instant(from)} on. ` : '';
  return el('p', { class: 'hint' }, kept, lag > USUAL_LAG ? `It is still being read: ${count(lag)} records are not in it yet.` : '');
}

/** Who moved from which stage to which. */
export function flows(view, ladder, segments) {
  let [range, now] = [RANGES[USUAL], null];
  const part = ofThePast(
    view,
    `Moves of ${ladder.name ?? ladder.key}`,
    ranges((chosen) => ((range = chosen), part.look())),
    async () => {
      const ask = (parameters) => get(path`ladders/${ladder.key}/flows`, { ...ALL, ...parameters }, view.signal);
      if (now === null) now = (await ask({})).to;
      const told = await ask({ from: since(now, range[1]) });
      return [matrix(ladder, told.moves, segments), reach(told), covered(told.partitions)];
    },
  );
  return part.panel;
}

/** Rows are left, columns are entered. */
function matrix(ladder, moves, segments) {
  if (moves.length === 0) return el('p', { class: 'empty' }, 'Nobody has moved in this time.');
  const name = (key) => segments.find((segment) => segment.key === key)?.name ?? key;
  const of = (from, to) => moves.find((move) => move.from === from && move.to === to)?.count ?? 0;
  // Stages that the ladder has no more have moves all the same.
  const stages = [...new Set([...ladder.stages, ...moves.flatMap((move) => [move.from, move.to])])];
  const most = Math.max(...moves.map((move) => move.count));
  const number = (from, to) => {
    const moved = of(from, to);
    if (from === to) return el('td', { class: 'none' }, '');
    return el(
      'td',
      { class: moved === 0 ? 'none' : `heat-${Math.ceil((4 * moved) / most)}`, title: `${count(moved)} from ${name(from)} to ${name(to)}` },
      moved === 0 ? '·' : count(moved),
    );
  };
  return el(
    'div',
    { class: 'scroll matrix', tabindex: '0', role: 'group', 'aria-label': 'Moves' },
    el(
      'table',
      {},
      el('caption', { class: 'unseen' }, `Moves from stage to stage of ${ladder.key}`),
      el(
        'thead',
        {},
        el(
          'tr',
          {},
          el('th', { scope: 'col' }, 'from ↓ to →'),
          stages.map((to) => el('th', { scope: 'col', class: 'number' }, name(to))),
        ),
      ),
      el(
        'tbody',
        {},
        stages.map((from) =>
          el(
            'tr',
            {},
            el('th', { scope: 'row' }, name(from)),
            stages.map((to) => number(from, to)),
          ),
        ),
      ),
    ),
  );
}

/** What happened to a customer, the latest first. */
export function timeline(view, id, names, now) {
  const rows = [];
  let cursor;
  const more = el(
    'button',
    {
      type: 'button',
      onclick: () => {
        // Asked twice, a page would be shown twice.
        more.disabled = true;
        part.look();
      },
    },
    'Show what was before',
  );
  const part = ofThePast(view, 'Timeline', null, async () => {
    const told = await get(path`customers/${id}/timeline`, { cursor }, view.signal);
    rows.push(...told.transitions);
    cursor = told.next ?? undefined;
    [more.hidden, more.disabled] = [!cursor, false];
    return [table('Timeline, the latest first', columns(names, now), rows, 'Nothing has happened.'), more, reach(told)];
  });
  return part.panel;
}

function columns(names, now) {
  return [
    { name: 'At', of: (row) => [instant(row.at), ' ', el('span', { class: 'soft' }, relative(row.at, now))], class: 'at' },
    { name: 'What', of: (row) => what(row, names), head: true },
    { name: 'By', of: (row) => el('span', { class: `cause cause-${row.cause}` }, cause(row.cause)) },
    { name: 'Because', of: because },
  ];
}

function what(row, names) {
  const link = (key) => segmentLink(key, names.get(key));
  if (row.ladder)
    return [
      el('span', { class: 'badge' }, 'moves'),
      ' ',
      row.from ? ['from ', link(row.from), ' '] : null,
      row.to ? ['to ', link(row.to)] : null,
    ];
  if (row.announcement) return [el('span', { class: 'badge out' }, 'will leave'), ' ', link(row.segment)];
  const entered = row.transition === 'entered';
  return [el('span', { class: entered ? 'badge in' : 'badge out' }, entered ? 'enters' : 'leaves'), ' ', link(row.segment)];
}

function because({ evidence, valid_until: until }) {
  const told = (evidence ?? []).map(({ aggregate, value, op, threshold, met }) =>
    op === 'is'
      ? `${aggregate} ${met ? 'holds' : 'does not hold'}`
      : `${aggregate} is ${value ?? 'none'}, ${met ? '' : 'not '}${op} ${threshold}`,
  );
  return el('span', { class: 'soft' }, told.join('; '), until ? ` · until ${instant(until)}` : '');
}
