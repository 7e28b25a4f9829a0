// What a rule would do to everybody: how many would enter each segment and leave it, before anything comes into force.
//
// Invariant: it is asked for by a button and never while somebody types: every customer is looked at for it.

import { ALL, path, post, Refusal } from '../api.js';
import { el, fill } from '../dom.js';
import { count, instant, many } from '../format.js';
import { covered, notice, table } from '../parts.js';
import { refusedPart } from '../refused.js';
import { flowed, sum } from '../words.js';

/** The button and its answer. `written()` gives a file of definitions, and the keys in it. */
export function dryRun(view, written) {
  const place = el('div');
  const button = el('button', { type: 'button', onclick: () => run() }, 'Count who would be in it');
  let asked = new AbortController();
  view.signal.addEventListener('abort', () => asked.abort());
  const run = async () => {
    asked.abort();
    asked = new AbortController();
    const { signal } = asked;
    const { text, keys } = written();
    fill(place, el('p', { class: 'waiting', role: 'status' }, 'Every customer is looked at …'));
    try {
      const told = await patiently(text, signal);
      if (!signal.aborted) fill(place, result(told, keys));
    } catch (error) {
      if (!signal.aborted)
        fill(
          place,
          error instanceof Refusal && error.status === 404
            ? el('p', { class: 'empty' }, 'This service cannot try it on everybody.')
            : refusedPart(error),
        );
    }
  };
  return {
    element: [el('p', {}, button), place],
    /** With another text the answer is of no use. */
    changed(valid) {
      asked.abort();
      button.disabled = !valid;
      fill(place);
    },
  };
}

/** Asks again while it is being counted. */
async function patiently(text, signal) {
  for (;;) {
    try {
      return await post(path`definitions/plan`, { files: [{ name: 'playground', text }] }, signal, ALL);
    } catch (error) {
      if (!(error instanceof Refusal) || error.status !== 503) throw error;
      await new Promise((done) => setTimeout(done, 1000 * (error.retryAfter || 1)));
      if (signal.aborted) throw error;
    }
  }
}

/** Only of what is written: segments in force that are not there are left alone. */
function result({ segments, looked_at: looked, complete, task_clock: clock, partitions }, keys) {
  const rows = segments.filter((segment) => keys.includes(segment.segment));
  const columns = [
    { name: 'Segment', of: (row) => (row.segment === 'rule' ? 'The rule' : row.segment), head: true },
    { name: 'Is', of: (row) => row.change },
    { name: 'In it now', of: (row) => count(row.members), number: true },
    { name: 'Would enter', of: (row) => flowed(row.enter), number: true },
    { name: 'Would leave', of: (row) => flowed(row.leave), number: true },
    { name: 'In it then', of: (row) => (row.members === null ? '–' : count(row.members + sum(row.enter) - sum(row.leave))), number: true },
  ];
  const short = rows
    .filter((row) => row.complete_since)
    .map((row) =>
      notice(
        `${row.segment === 'rule' ? 'The rule' : row.segment} looks at what was not kept for it: it would know everything since ${instant(row.complete_since)} only.`,
      ),
    );
  return [
    covered(partitions),
    short,
    complete ? null : notice('Not everybody: that takes too long.'),
    table('What it would do', columns, rows),
    el(
      'p',
      { class: 'hint' },
      `${many(looked, 'customer')} looked at${clock ? `, as of ${instant(clock)}` : ''}. Nothing has come into force.`,
    ),
  ];
}
