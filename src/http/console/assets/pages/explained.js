// Why a customer is in a segment or not, in words and as conditions.
//
// Invariant: what is said here is what the service says; nothing is evaluated in the console. `needed` marks the fewest conditions
// that would have to be otherwise.

import { el, to } from '../dom.js';
import { decimal, instant, listed, relative } from '../format.js';
import { table } from '../parts.js';

/** One explanation, with its verdict as a heading that opens. `tried`: of a rule that is not in force, in which nobody ever was. */
export function explained(explanation, { name = null, open = false, tried = false } = {}) {
  const { member, segment } = explanation;
  return el(
    'details',
    { class: `why ${member ? 'in' : 'out'}`, open },
    el(
      'summary',
      {},
      el('span', { class: member ? 'badge in' : 'badge out' }, member ? 'in' : 'not in'),
      ' ',
      el('strong', {}, name ?? segment),
      ' ',
      el('span', { class: 'short' }, inShort(explanation)),
    ),
    el('p', { class: 'words' }, words(explanation, tried)),
    conditions(explanation.reasons),
    tried ? null : el('p', {}, el('a', { href: to(['segments', segment]) }, 'To the segment')),
  );
}

/** The verdict in a few words, for the closed heading. */
function inShort({ member, reasons, changes_at: changes, at }) {
  if (member) return changes ? `leaves ${relative(changes, at)} if nothing happens` : 'stays if nothing happens';
  if (changes) return `enters by time alone ${relative(changes, at)}`;
  // Only the last stage of a ladder has no condition of its own.
  if (reasons.length === 0) return 'another stage of its ladder comes first';
  return cut(`missing: ${listed([...new Set(missing(reasons).map(step))].slice(0, 2))}`);
}

/** What stands in one line, or nearly; all of it stands below. */
function cut(text) {
  return text.length > 150 ? `${text.slice(0, 150)}…` : text;
}

/** The verdict in sentences. */
function words({ member, since, entries, reasons, changes_at: changes, at }, tried) {
  const change = changes
    ? `If nothing happens this changes ${relative(changes, at)}, at ${instant(changes)}.`
    : 'Time alone will not change this.';
  if (member) {
    const holds = listed(reasons.filter((reason) => reason.met).map(state));
    const begun = tried ? 'Would be in it' : `In it since ${since ? instant(since) : 'an instant that is not known'}`;
    return `${begun}${holds ? `, because ${holds}` : ''}. ${change}`;
  }
  const before = tried ? 'Would not be in it. ' : entries > 0 ? `Was in it before, until ${instant(since)}. ` : 'Was never in it. ';
  const lacks = listed(missing(reasons).map(step));
  return `${before}${lacks ? `What is missing: ${lacks}. ` : ''}${change}`;
}

/** The fewest conditions that would have to be otherwise; where none is marked, those that do not hold. */
function missing(reasons) {
  const needed = reasons.filter((reason) => reason.needed);
  return needed.length > 0 ? needed : reasons.filter((reason) => !reason.met);
}

/** What a condition is, as it stands: `count(orders last 30d) is 3, > 2`. */
function state({ aggregate, value, op, threshold, list }) {
  if (list) return `${aggregate} ${list === 'pin' ? 'keeps the customer in' : 'keeps the customer out'}`;
  return op === 'is' ? `${aggregate} holds` : `${aggregate} is ${shown(value)}, ${op} ${shown(threshold)}`;
}

/** What would have to be otherwise: `7 more of count(orders last 90d)`. */
function step({ aggregate, value, op, threshold, met, distance, list }) {
  if (list) return `${aggregate} ${list === 'pin' ? 'would have to name the customer' : 'would have to name the customer no longer'}`;
  if (distance) return `${distance.beyond ? 'more than ' : ''}${decimal(distance.by)} ${distance.direction} of ${aggregate}`;
  if (op === 'is') return `${aggregate} ${met ? 'would have to end' : 'would have to hold'}`;
  return `${aggregate} ${op} ${shown(threshold)} (it is ${shown(value)})`;
}

function shown(value) {
  return value === null || value === undefined ? 'none' : decimal(String(value));
}

function conditions(reasons) {
  const columns = [
    { name: 'Holds', of: (row) => el('span', { class: row.met ? 'met' : 'unmet' }, row.met ? 'yes' : 'no') },
    {
      name: 'Condition',
      of: (row) => [el('code', {}, row.aggregate), row.needed ? [' ', el('span', { class: 'tag' }, 'decides')] : null],
      head: true,
    },
    { name: 'Value', of: (row) => [row.approximate ? 'about ' : '', shown(row.value)], number: true },
    { name: 'Wanted', of: (row) => (row.list ? row.list : `${row.op} ${shown(row.threshold)}`), number: true },
    { name: 'Distance', of: progress },
  ];
  return table('Conditions', columns, reasons, 'It has no condition of its own.');
}

/** How near a condition is to the other side: a bar where both are numbers. */
function progress({ value, threshold, met, distance }) {
  if (!distance) return '';
  const told = `${distance.beyond ? 'more than ' : ''}${decimal(distance.by)} ${distance.direction}`;
  const [is, wanted] = [Number(value ?? 0), Number(threshold)];
  if (met || !(wanted > 0) || !(is >= 0) || distance.direction !== 'more') return told;
  return [el('meter', { min: 0, max: wanted, value: Math.min(is, wanted), 'aria-label': `${is} of ${wanted}` }), ' ', told];
}
