// Ladders: how many are on each stage, and who moved from where to where.
//
// Invariant: a move is counted once, from the stage that was left to the stage that was entered; who came onto the ladder for the
// first time came from nowhere.

import { el, segmentLink, to } from '../dom.js';
import { count } from '../format.js';
import { covered, heading, panel, table, tags } from '../parts.js';
import { flows } from './past.js';
import { all } from './segments.js';
import { flowed } from '../words.js';

export const title = (parts) => parts[1] ?? 'Ladders';

export async function show(view) {
  const told = await all(view.signal);
  const wanted = view.parts[1];
  const ladders = told.ladders.filter((ladder) => wanted === undefined || ladder.key === wanted);
  const about = 'Every customer is on exactly one stage: the first whose rule holds.';
  const only = ladders.length === 1 ? ladders[0] : null;
  view.show(
    heading(only ? (only.name ?? only.key) : 'Ladders', only ? [only.description ?? about, ' ', tags(only.tags)] : about),
    covered(told.partitions),
    ladders.length === 0
      ? el('p', { class: 'empty' }, wanted === undefined ? 'The definitions have no ladder.' : 'There is no such ladder.')
      : null,
    ladders.map((ladder) => [stages(ladder, told.segments, only), flows(view, ladder, told.segments)]),
  );
}

function stages(ladder, segments, only) {
  const rows = ladder.stages.map((key) => segments.find((segment) => segment.key === key)).filter(Boolean);
  const members = rows.reduce((all, row) => all + (row.members ?? 0), 0);
  const columns = [
    { name: 'Stage', of: (row) => segmentLink(row.key, row.name), head: true },
    { name: 'On it', of: (row) => count(row.members), number: true },
    {
      name: 'Share',
      of: (row) =>
        el('meter', {
          min: 0,
          max: Math.max(members, 1),
          value: row.members ?? 0,
          'aria-label': `${count(row.members)} of ${count(members)}`,
        }),
    },
    { name: 'Came', of: (row) => flowed(row.entered), number: true },
    { name: 'Went', of: (row) => flowed(row.exited), number: true },
  ];
  const link = only ? null : el('p', {}, el('a', { href: to(['ladders', ladder.key]) }, 'This ladder alone'));
  return panel(only ? 'Stages' : (ladder.name ?? ladder.key), table('Stages', columns, rows), link);
}
