// A segment's size over time, and who came and went: as a sentence, and drawn.
//
// Invariant: the sentence is made of the points that are drawn.

import { chart } from '../charts.js';
import { el } from '../dom.js';
import { count, day, instant } from '../format.js';
import { CAUSES, sum } from '../words.js';

/** Causes that are drawn apart; the others are few. */
const DRAWN = [
  ['an event', 'event', ['event', 'late_event']],
  ['time alone', 'time', ['time']],
  ['anything else', 'other', Object.keys(CAUSES).filter((name) => !['event', 'late_event', 'time'].includes(name))],
];

/** From the back to the front: each with the causes of those before it, which it stands behind. */
const LAYERS = DRAWN.map(([words, colour], i) => [words, colour, DRAWN.slice(0, i + 1).flatMap(([, , causes]) => causes)]).reverse();

/** Since when it grows or shrinks, and by how much. */
export function growth(points) {
  const sizes = points.filter((point) => point.members !== null);
  if (sizes.length < 2) return 'Its size is still being counted.';
  const now = sizes.at(-1);
  const last = (of) => sizes.findLast((point) => point.members === of);
  const least = last(Math.min(...sizes.map((point) => point.members)));
  const most = last(Math.max(...sizes.map((point) => point.members)));
  if (least.members === most.members) return `It has been ${count(now.members)} all the time.`;
  // Nearer to the most than to the least: a dip on the way is no turn.
  const grows = now.members - least.members >= most.members - now.members;
  const from = grows ? least : most;
  const besides = grows ? ` Most: ${count(most.members)}, on ${day(most.at)}.` : ` Least: ${count(least.members)}, on ${day(least.at)}.`;
  return `It has ${grows ? 'grown' : 'shrunk'} since ${day(from.at)}: from ${count(from.members)} to ${count(now.members)}.${besides}`;
}

/** The two charts; `show(points)` draws. */
export function overTime(view, segment) {
  const size = chart({
    name: 'Members over time',
    series: [{ name: 'In it', colour: 'accent', step: true }],
    whole: true,
    signal: view.signal,
  });
  const columns = LAYERS.map(([, colour]) => ({ name: colour, colour, columns: true }));
  const flow = chart({
    name: 'Entries and exits over time',
    series: [...columns, ...columns],
    height: 200,
    legend: false,
    whole: true,
    signal: view.signal,
  });
  const key = el(
    'p',
    { class: 'causes' },
    DRAWN.map(([words, colour]) => el('span', { class: `cause cause-${colour}` }, `by ${words}`)),
  );
  return {
    element: el('div', {}, el('h3', {}, 'In it'), size.figure, el('h3', {}, 'Came (above) and went (below)'), key, flow.figure),
    show(points) {
      const times = instants(points);
      size.show(times, [points.map((point) => point.members)], said(points, segment));
      flow.show(middles(times), [...layers(points, 'entered', 1), ...layers(points, 'exited', -1)], whole(points));
    },
  };
}

function said(points, segment) {
  const first = points.find((point) => point.members !== null);
  return first
    ? `${segment.key}: ${count(first.members)} at ${instant(first.at)}, ${count(points.at(-1).members)} at ${instant(points.at(-1).at)}`
    : '';
}

function whole(points) {
  const all = (kind) => points.reduce((number, point) => number + sum(point[kind]), 0);
  return `${count(all('entered'))} came and ${count(all('exited'))} went in this time`;
}

/** Seconds. The last step may have only just begun, at the end of the one before: no two points are at one instant. */
function instants(points) {
  const times = [];
  for (const point of points) times.push(Math.max(new Date(point.at) / 1000, (times.at(-1) ?? -Infinity) + 1));
  return times;
}

/** Points stand at the end of their step; a column stands in its middle. */
function middles(times) {
  const step = times.length > 1 ? times[1] - times[0] : 0;
  return times.map((time, i) => (i > 0 ? (times[i - 1] + time) / 2 : time - step / 2));
}

/** Columns in front of each other: the one at the back is as high as all. */
function layers(points, kind, sign) {
  return LAYERS.map(([, , causes]) => points.map((point) => sign * causes.reduce((number, name) => number + (point[kind][name] ?? 0), 0)));
}
