// One segment: what it means, how many are in it and since when it grows, who they are, and who comes and goes right now.
//
// Invariant: who is in it is listed page by page, when somebody asks; the list is a look while things move.

import { ALL, get, path, Refusal } from '../api.js';
import { customerLink, el, fill, to } from '../dom.js';
import { count, instant, many, relative } from '../format.js';
import { covered, heading, notice, panel, table, tags, tile, tiles } from '../parts.js';
import { refusedPart } from '../refused.js';
import { listen } from '../stream.js';
import { byCause, cause, rule, sum } from '../words.js';
import { past } from './past.js';

const EVERY = 3000;
/** Transitions that are shown, the latest first. */
const SHOWN = 50;

export const title = (parts) => parts[1];

export async function show(view) {
  const key = view.parts[1];
  const segment = await get(path`segments/${key}`, ALL, view.signal);
  const figures = el('div');
  const live = el('div');
  view.show(
    heading(segment.name ?? key, [segment.name ? el('code', {}, key) : null, ' ', segment.description ?? '', ' ', tags(segment.tags)]),
    figures,
    past(view, segment),
    definition(segment),
    members(view, key),
    panel('Right now', live),
  );
  fill(figures, now(segment));
  view.main.removeAttribute('aria-busy');
  listening(view, key, live);
  await view.every(EVERY, async () => fill(figures, now(await get(path`segments/${key}`, ALL, view.signal))));
}

function now(segment) {
  return [
    covered(segment.partitions),
    segment.complete_since
      ? notice(`It knows nothing of what happened before ${instant(segment.complete_since)}: it was defined after events had come.`)
      : null,
    tiles(
      tile('In it now', count(segment.members), segment.members === null ? 'being counted' : null),
      tile('Entered', count(sum(segment.entered)), sum(segment.entered) > 0 ? byCause(segment.entered) : 'since the start'),
      tile('Left', count(sum(segment.exited)), sum(segment.exited) > 0 ? byCause(segment.exited) : 'since the start'),
      tile('Last change', segment.last_change ? instant(segment.last_change) : '–'),
    ),
  ];
}

function definition(segment) {
  const rows = [
    ['Is in it', rule(segment.when)],
    ['Until', segment.exit_when ? rule(segment.exit_when) : null],
    ['Stays at least', segment.min_stay],
    ['Always in', segment.pin ? rule(segment.pin) : null],
    ['Never in', segment.ban ? rule(segment.ban) : null],
    [
      'Stage',
      segment.stage
        ? el('a', { href: to(['ladders', segment.stage.ladder]) }, `${segment.stage.rank + 1} of the ladder ${segment.stage.ladder}`)
        : null,
    ],
    ['Owner', segment.owner],
    ['Calendar', segment.timezone],
    ['Version', el('code', { class: 'soft' }, segment.version)],
  ];
  const told = rows.filter(([, value]) => value).map(([name, value]) => [el('dt', {}, name), el('dd', {}, value)]);
  return panel(
    'Definition',
    el('dl', { class: 'facts' }, told),
    el('p', {}, el('a', { href: to(['playground'], { when: segment.when }) }, 'Try another rule beside it')),
  );
}

function members(view, key) {
  const rows = [];
  const place = el('div');
  let cursor;
  let partitions;
  const button = el('button', { type: 'button', onclick: () => more().catch(failed) }, 'Show who is in it');
  const failed = (error) => {
    button.disabled = false;
    if (!view.signal.aborted) fill(place, refusedPart(error));
  };
  const columns = [
    { name: 'Customer', of: (row) => customerLink(row.customer), sort: (row) => row.customer, head: true },
    { name: 'Since', of: (row) => instant(row.since), class: 'at', sort: (row) => row.since },
    { name: 'Entry', of: (row) => `the ${ordinal(row.entry)}`, sort: (row) => row.entry, number: true },
  ];
  const more = async () => {
    const before = rows.length;
    // Asked twice, a page would be shown twice.
    button.disabled = true;
    // A page may have nobody although more follow.
    do {
      const page = await get(path`segments/${key}/customers`, { cursor, ...ALL }, view.signal);
      rows.push(...page.customers);
      cursor = page.next;
      partitions = ofBoth(partitions, page.partitions);
    } while (cursor && rows.length < before + 50);
    fill(place, covered(partitions), table('Customers in this segment', columns, rows, 'Nobody.'));
    button.textContent = 'Show more';
    [button.hidden, button.disabled] = [!cursor, false];
    view.say(`${many(rows.length, 'customer')} shown`);
  };
  return panel('Who is in it', place, el('p', {}, button));
}

/** Of which partitions two pages are: what one of them leaves out is left out. */
function ofBoth(one, other) {
  if (!one) return other;
  return {
    ...other,
    here: other.here.filter((partition) => one.here.includes(partition)),
    partial: one.partial || other.partial,
    unreached: [...(one.unreached ?? []), ...(other.unreached ?? [])],
  };
}

function ordinal(number) {
  const last = number % 100;
  return `${number}${last > 10 && last < 14 ? 'th' : (['th', 'st', 'nd', 'rd'][number % 10] ?? 'th')}`;
}

/** Transitions as they are committed. */
function listening(view, key, place) {
  const seen = [];
  const state = el('p', { class: 'live' });
  const list = el('ol', { class: 'transitions', 'aria-label': 'Transitions, the latest first' });
  const whose = el('div');
  fill(place, state, whose, list);
  const says = {
    open: 'Listening: each entry and exit is shown as it is committed.',
    lost: 'The connection is lost; it is made again.',
    dropped: 'Too many at once: some were not shown.',
  };
  const told = (kind, transition) => {
    if (kind !== 'transition' || transition.segment !== key) return;
    seen.unshift(line(transition));
    seen.splice(SHOWN);
    fill(list, seen);
  };
  listen(
    [key],
    view.signal,
    told,
    (name, partitions) => {
      if (view.signal.aborted) return;
      fill(state, says[name]);
      state.classList.toggle('on', name === 'open');
      if (name === 'open') fill(whose, covered(partitions));
    },
  ).catch((error) => {
    if (error instanceof Refusal) fill(place, refusedPart(error));
  });
}

function line(transition) {
  const entered = transition.transition === 'entered';
  return el(
    'li',
    {},
    el('span', { class: entered ? 'in' : 'out' }, entered ? 'enters' : 'leaves'),
    ' ',
    customerLink(transition.customer),
    ' ',
    el('span', { class: 'soft' }, `${instant(transition.at)}, by ${cause(transition.cause)}`),
    transition.valid_until
      ? el('span', { class: 'soft' }, ` · until ${instant(transition.valid_until)} (${relative(transition.valid_until, transition.at)})`)
      : null,
  );
}
