// Segments: which there are, how many are in each, and how many come and go.
//
// Invariant: what is searched and chosen stands in the address, so that a link shows the same.

import { ALL, get } from '../api.js';
import { el, fill, segmentLink, to } from '../dom.js';
import { count, instant, many } from '../format.js';
import { covered, heading, panel, table, tags } from '../parts.js';
import { flowed, sum } from '../words.js';

const EVERY = 5000;

export const title = () => 'Segments';

export async function show(view) {
  const wanted = { text: view.query.get('search') ?? '', tag: view.query.get('tag') ?? '' };
  const places = { tags: el('div', { class: 'chips', role: 'group', 'aria-label': 'Tags' }), list: el('div'), note: el('div') };
  let told = await all(view.signal);
  const field = el('input', {
    id: 'search',
    type: 'search',
    value: wanted.text,
    placeholder: 'Key, name, rule or owner',
    autocomplete: 'off',
    oninput: () => choose({ text: field.value }),
  });
  view.show(
    heading('Segments', 'Entries and exits are counted since each process started.'),
    places.note,
    el('div', { class: 'fields' }, el('label', { for: 'search' }, 'Search'), field, places.tags),
    places.list,
  );
  draw();
  view.main.removeAttribute('aria-busy');
  await view.every(EVERY, async () => {
    told = await all(view.signal);
    // Whoever stands in the table with the keyboard is not thrown out of it.
    if (!places.list.contains(document.activeElement)) draw();
  });

  function choose(change) {
    Object.assign(wanted, change);
    history.replaceState(null, '', to(['segments'], { search: wanted.text, tag: wanted.tag }));
    draw();
  }

  function draw() {
    const found = told.segments.filter((segment) => isWanted(segment, wanted));
    fill(places.note, covered(told.partitions));
    fill(
      places.tags,
      chips(told.segments, wanted.tag, (tag) => choose({ tag })),
    );
    fill(places.list, list(found));
    if (found.length !== told.segments.length) view.say(`${many(found.length, 'segment')} found`);
  }
}

/** Every page of them. */
export async function all(signal) {
  let told = await get('segments', ALL, signal);
  const segments = told.segments;
  while (told.next) {
    told = await get('segments', { ...ALL, cursor: told.next }, signal);
    segments.push(...told.segments);
  }
  return { ...told, segments };
}

function isWanted(segment, { text, tag }) {
  const words = [segment.key, segment.name, segment.description, segment.when, segment.owner].join('\n').toLowerCase();
  return words.includes(text.trim().toLowerCase()) && (tag === '' || segment.tags.includes(tag));
}

function chips(segments, chosen, choose) {
  const known = [...new Set(segments.flatMap((segment) => segment.tags))].sort();
  return known.map((tag) =>
    el(
      'button',
      { type: 'button', class: 'chip', 'aria-pressed': String(tag === chosen), onclick: () => choose(tag === chosen ? '' : tag) },
      tag,
    ),
  );
}

function list(segments) {
  const flow = (name, counts) => ({ name, of: (row) => flowed(counts(row)), sort: (row) => sum(counts(row)), number: true });
  const columns = [
    { name: 'Segment', of: named, sort: (row) => (row.name ?? row.key).toLowerCase(), head: true },
    { name: 'In it', of: (row) => count(row.members), sort: (row) => row.members, number: true },
    flow('Entered', (row) => row.entered),
    flow('Left', (row) => row.exited),
    { name: 'Last change', of: (row) => (row.last_change ? instant(row.last_change) : '–'), class: 'at', sort: (row) => row.last_change },
  ];
  return panel(many(segments.length, 'segment'), table('Segments', columns, segments, 'No segment is like that.'));
}

function named(segment) {
  const stage = segment.stage
    ? [
        ' ',
        el(
          'a',
          { class: 'tag', href: to(['ladders', segment.stage.ladder]) },
          `stage ${segment.stage.rank + 1} of ${segment.stage.ladder}`,
        ),
      ]
    : null;
  const since = segment.complete_since
    ? [
        ' ',
        el(
          'span',
          { class: 'tag warn', title: `It knows nothing of what happened before ${instant(segment.complete_since)}` },
          'incomplete',
        ),
      ]
    : null;
  return [
    segmentLink(segment.key, segment.name),
    ' ',
    segment.name ? el('span', { class: 'soft' }, segment.key) : null,
    stage,
    since,
    ' ',
    tags(segment.tags),
    el('code', { class: 'rule-line', title: segment.when }, segment.when),
  ];
}
