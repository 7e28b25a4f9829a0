// One customer: what it is in and when it leaves, why and why not, what was counted of it, and what happened.
//
// Invariant: everything on the page is of one customer, as of the instant that stands at its top. An id is shown as it is.

import { get, path } from '../api.js';
import { el, fill, segmentLink, to } from '../dom.js';
import { decimal, instant, many, relative, utc } from '../format.js';
import { heading, notice, panel, table, tile, wideTiles } from '../parts.js';
import { refusedPart } from '../refused.js';
import { timeline } from './past.js';
import { explained } from './explained.js';
import { all } from './segments.js';

/** The service explains so many at once. */
const AT_ONCE = 100;

export const title = (parts) => parts[1] ?? 'Customer';

export async function show(view) {
  const id = view.parts[1];
  if (id === undefined || id === '') return ask(view);
  const [customer, names] = await Promise.all([get(path`customers/${id}`, {}, view.signal), named(view.signal)]);
  const now = customer.task_clock ?? customer.at;
  const held = Object.entries(customer.segments).filter(([, membership]) => membership.held);
  view.show(
    heading(
      el('span', { class: 'id' }, customer.customer),
      customer.seen ? null : 'No event of this customer was ever accepted. Check how the id is written: capitals and blanks count.',
    ),
    customer.decided
      ? null
      : notice(
          'Definitions or lists have changed, and this customer is still to be decided by them: memberships are as before, everything else is by the new ones.',
        ),
    wideTiles(
      tile('In', many(held.length, 'segment')),
      tile(
        'Next change by time',
        customer.next_due ? relative(customer.next_due, now) : 'none',
        customer.next_due ? instant(customer.next_due) : 'nothing changes by time alone',
      ),
      tile(
        'Told as of',
        customer.task_clock ? instant(customer.task_clock) : 'nothing has happened',
        customer.lag_records > 0 ? `${many(customer.lag_records, 'record')} not committed yet` : 'every record is committed',
      ),
    ),
    memberships(held, names, now),
    why(view, id, customer, names),
    timeline(view, id, names, now),
    former(customer, names, now),
    el('div', { class: 'columns' }, aggregates(customer), traits(customer)),
  );
}

/** Before somebody has said who. */
function ask(view) {
  const field = el('input', { id: 'who', type: 'search', autocomplete: 'off', spellcheck: 'false' });
  const go = (event) => {
    event.preventDefault();
    if (field.value !== '') location.hash = to(['customers', field.value]);
  };
  view.show(
    heading('Customer', 'Why somebody is in a segment or not, and when that changes.'),
    el(
      'form',
      { class: 'fields', onsubmit: go },
      el('label', { for: 'who' }, 'Customer id'),
      field,
      el('button', { type: 'submit', class: 'main' }, 'Look up'),
    ),
    el('p', { class: 'hint' }, 'As events carry it. Who is in a segment is listed on the page of the segment.'),
  );
  field.focus();
}

/** Segments by key, with their names; none where the token does not let them be seen. */
async function named(signal) {
  try {
    return new Map((await all(signal)).segments.map((segment) => [segment.key, segment.name]));
  } catch (error) {
    if (error.status === 403) return new Map();
    throw error;
  }
}

function memberships(held, names, now) {
  const columns = [
    { name: 'Segment', of: (row) => segmentLink(row.key, names.get(row.key)), sort: (row) => row.key, head: true },
    { name: 'Since', of: (row) => instant(row.since), class: 'at', sort: (row) => row.since },
    {
      name: 'Leaves, if nothing happens',
      of: (row) =>
        row.valid_until ? [instant(row.valid_until), ' ', el('span', { class: 'soft' }, relative(row.valid_until, now))] : 'never',
      sort: (row) => row.valid_until,
    },
    { name: 'Entry', of: (row) => row.entry, sort: (row) => row.entry, number: true },
  ];
  return panel(
    'In these segments',
    table(
      'Memberships',
      columns,
      held.map(([key, membership]) => ({ key, ...membership })),
      'In no segment.',
    ),
  );
}

function former({ segments }, names, now) {
  const left = Object.entries(segments)
    .filter(([, membership]) => !membership.held)
    .map(([key, membership]) => ({ key, ...membership }));
  if (left.length === 0) return null;
  const columns = [
    { name: 'Segment', of: (row) => segmentLink(row.key, names.get(row.key)), sort: (row) => row.key, head: true },
    {
      name: 'Left',
      of: (row) => [instant(row.left_at), ' ', el('span', { class: 'soft' }, relative(row.left_at, now))],
      sort: (row) => row.left_at,
    },
    { name: 'Entries', of: (row) => row.entry, sort: (row) => row.entry, number: true },
  ];
  return panel('Was in before', table('Memberships that have ended', columns, left));
}

/** Why and why not, of every segment: searched, and at an instant to come. */
function why(view, id, customer, names) {
  const list = el('div', { class: 'explanations', 'aria-live': 'off' });
  const field = el('input', {
    id: 'why-search',
    type: 'search',
    autocomplete: 'off',
    placeholder: 'Segment',
    value: view.query.get('why') ?? '',
    oninput: () => draw(),
  });
  const at = el('input', { id: 'why-at', type: 'datetime-local', step: '1', onchange: () => load() });
  let told = [];
  const draw = () => {
    const wanted = field.value.trim().toLowerCase();
    const found = told.filter(({ segment }) => `${segment}\n${names.get(segment) ?? ''}`.toLowerCase().includes(wanted));
    const groups = [
      ['In', true],
      ['Not in', false],
    ].map(([title, member]) => [title, found.filter((explanation) => explanation.member === member)]);
    fill(
      list,
      found.length === 0
        ? el('p', { class: 'empty' }, 'No segment is like that.')
        : groups
            .filter(([, group]) => group.length > 0)
            .map(([title, group]) => [
              el('h3', {}, `${title}: ${group.length}`),
              group.map((explanation) => explained(explanation, { name: names.get(explanation.segment), open: found.length === 1 })),
            ]),
    );
  };
  const load = async () => {
    try {
      told = await explanations(id, [...names.keys()], utc(at.value), view.signal);
      draw();
    } catch (error) {
      if (!view.signal.aborted) fill(list, refusedPart(error));
    }
  };
  if (customer.seen) load();
  return panel(
    'Why, and why not',
    el(
      'div',
      { class: 'fields' },
      el('label', { for: 'why-search' }, 'Segment'),
      field,
      el('label', { for: 'why-at' }, 'As it will be at (UTC)'),
      at,
    ),
    customer.seen ? list : el('p', { class: 'empty' }, 'Nothing is known of this customer.'),
  );
}

/** Of these segments; of all, where they are not known. */
async function explanations(id, keys, at, signal) {
  if (keys.length === 0) return (await get(path`customers/${id}/explain`, { at }, signal)).explanations;
  const told = [];
  for (let from = 0; from < keys.length; from += AT_ONCE) {
    const asked = { segment: keys.slice(from, from + AT_ONCE), at };
    told.push(...(await get(path`customers/${id}/explain`, asked, signal)).explanations);
  }
  return told;
}

function aggregates({ aggregates: list, at }) {
  const columns = [
    { name: 'Aggregate', of: (row) => el('code', {}, row.aggregate), sort: (row) => row.aggregate, head: true },
    { name: 'Value', of: (row) => (row.value === null ? 'none' : decimal(row.value)), sort: (row) => Number(row.value), number: true },
  ];
  return panel(
    'Aggregates',
    el('p', { class: 'hint' }, `What the rules look at, as of ${instant(at)}.`),
    table('Aggregates', columns, list, 'None.'),
  );
}

function traits({ traits: list }) {
  const columns = [
    { name: 'Trait', of: (row) => row.trait, sort: (row) => row.trait, head: true },
    { name: 'Value', of: (row) => row.value ?? 'none' },
    { name: 'Given', of: (row) => instant(row.at), class: 'at', sort: (row) => row.at },
  ];
  return panel('Traits', table('Traits', columns, list, 'None.'));
}
