// Overview: is it well? What comes in, what goes out, how far behind.
//
// Invariant: every process speaks for itself, and is asked anew every two seconds; one that does not answer is named. A rate is of the
// time between two answers of the same processes, and nothing where there is only one.

import { ALL, get, readiness, Refusal } from '../api.js';
import { chart } from '../charts.js';
import { el, fill } from '../dom.js';
import { bytes, count, figure, instant, span } from '../format.js';
import { covered, heading, panel, table, tile, tiles } from '../parts.js';
import { parse, quantile, rate, together } from '../prometheus.js';
import { refusedPart } from '../refused.js';

const EVERY = 2000;
/** Points of a chart: five minutes. */
const KEPT = 150;

export const title = () => 'Overview';

/** What is drawn, by what is kept of each look. */
const CHARTS = [
  ['events', 'Events a second', 'accent'],
  ['transitions', 'Transitions a second', 'good'],
  ['lag', 'Records not committed', 'warn'],
];

export async function show(view) {
  const lines = CHARTS.map(([of, name, colour]) => ({
    of,
    name,
    ...chart({ name, series: [{ name, colour }], height: 120, signal: view.signal }),
  }));
  const places = {
    ready: el('div'),
    figures: el('div'),
    charts: el('div', { class: 'charts' }),
    processes: el('div'),
    partitions: el('div'),
    streams: el('div'),
  };
  const points = [];
  let before = null;
  const first = await looked(view.signal);
  view.show(heading('Overview', 'The whole deployment, now. Charts begin when this page is opened.'), ...Object.values(places));
  update(first);
  view.main.removeAttribute('aria-busy');
  await pause(view.signal);
  await view.every(EVERY, async () => update(await looked(view.signal)));

  function update(seen) {
    fill(places.ready, readyLine(seen), covered(seen.partitions));
    if (!seen.scrape) return fill(places.figures, refusedPart(seen.refused));
    const rates = grown(before, seen);
    fill(places.figures, figures(seen, before?.scrape, rates));
    fill(places.processes, seen.processes.length > 1 ? processes(seen) : null);
    fill(places.partitions, partitions(seen));
    fill(places.streams, streams(seen.scrape));
    if (!before)
      fill(
        places.charts,
        lines.map((line) => panel(line.name, line.figure)),
      );
    points.push({ at: seen.at / 1000, ...rates, lag: seen.scrape.sum('segmentd_consumer_lag_records') });
    points.splice(0, points.length - KEPT);
    for (const { of, show: draw } of lines)
      draw(
        points.map((point) => point.at),
        [points.map((point) => point[of])],
        said(points.map((point) => point[of])),
      );
    before = seen;
  }
}

/** Rates between two looks. */
function grown(before, seen) {
  if (before && named(before) !== named(seen)) return { events: null, transitions: null };
  const each = (name) => rate(before?.scrape, seen.scrape, name, (seen.at - (before?.at ?? 0)) / 1000);
  return { events: each('segmentd_events_consumed_total'), transitions: each('segmentd_transitions_total') };
}

/** Which processes have answered. */
function named({ processes }) {
  return (processes ?? []).map(({ address }) => address).join(' ');
}

function said(values) {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? 'not known yet' : `now ${figure(known.at(-1))}, at most ${figure(Math.max(...known))}`;
}

async function pause(signal) {
  if (!signal.aborted) await new Promise((done) => setTimeout(done, EVERY));
}

/** Everything that is asked for; a part that is refused says so itself. */
async function looked(signal) {
  const [ready, asked, segments] = await Promise.all([
    readiness(signal),
    kept(get('processes', ALL, signal)),
    kept(get('segments', {}, signal)),
  ]);
  if (asked.refused?.status === 401) throw asked.refused;
  const processes = asked.told?.processes.map((process) => ({ ...process, scrape: parse(process.figures) }));
  return {
    ready,
    processes,
    scrape: processes ? together(processes.map(({ scrape }) => scrape)) : null,
    refused: asked.refused,
    partitions: asked.told?.partitions,
    segments: segments.told?.segments,
    at: Date.now(),
  };
}

async function kept(asked) {
  try {
    return { told: await asked };
  } catch (refused) {
    if (refused instanceof Refusal && refused.status !== 0) return { refused };
    throw refused;
  }
}

/** Of one process its checks; of several how many are ready, since their table has the checks that are not met. */
function readyLine({ ready: { ready, checks }, processes: all = [], partitions }) {
  const of = all.length + (partitions?.unreached?.length ?? 0);
  if (of < 2) return banner(ready, checks.map(({ check, met, detail }) => [met, check, detail]));
  const are = all.filter((process) => process.ready).length;
  return banner(are === of, [[are === of, `${are} of ${of}`, 'processes are ready']]);
}

function banner(ready, lines) {
  const line = ([met, what, detail]) => el('li', { class: met ? 'met' : 'unmet' }, el('strong', {}, what), ` ${detail}`);
  const verdict = el('strong', { class: 'verdict' }, ready ? 'Ready' : 'Not ready');
  return el('div', { class: ready ? 'ready good' : 'ready bad' }, verdict, el('ul', {}, lines.map(line)));
}

function figures({ scrape, partitions, segments }, before, rates) {
  const lag = scrape.sum('segmentd_consumer_lag_records');
  // At the first look it would be of all the time that has been.
  const lately = (name) => (before ? quantile(before, scrape, name, 0.99) : null);
  const [timer, commit] = ['segmentd_timer_lag_seconds', 'segmentd_commit_duration_seconds'].map(lately);
  const rejected = scrape.sum('segmentd_events_rejected_total');
  return tiles(
    tile(
      'Partitions',
      partitions
        ? `${partitions.here.length} / ${partitions.of}`
        : count(scrape.by('segmentd_tasks', 'state').reduce((all, [, n]) => all + n, 0)),
      'answered / in all',
    ),
    tile('Events', perSecond(rates.events), `${count(scrape.sum('segmentd_events_consumed_total'))} since the start`),
    tile('Transitions', perSecond(rates.transitions), `${count(scrape.sum('segmentd_transitions_total'))} since the start`),
    tile('Lag', count(lag), 'records not committed', lag > 10000 ? 'warn' : null),
    tile('Timer lag', timer === null ? '–' : span(timer * 1000), 'p99, of timers that fired just now'),
    tile('Commit', commit === null ? '–' : span(commit * 1000), 'p99, just now'),
    tile('Rejected', count(rejected), 'to the dead letters', rejected > 0 ? 'warn' : null),
    segments ? tile('Segments', count(segments.length), 'in force') : null,
    tile('Timers', count(scrape.sum('segmentd_timers_pending')), 'customers whom time may move'),
    tile('State', bytes(scrape.sum('segmentd_state_bytes') ?? 0), `memory ${bytes(scrape.sum('process_resident_memory_bytes') ?? 0)}`),
  );
}

function perSecond(rate) {
  return rate === null ? '–' : `${figure(rate)} /s`;
}

/** One row a process, this one first. */
function processes({ processes: all }) {
  const columns = [
    { name: 'Process', of: (row) => el('code', {}, row.address ?? 'this one'), sort: (row) => row.address, head: true },
    { name: 'Partitions', of: (row) => row.partitions.join(', ') || 'none', sort: (row) => row.partitions.length },
    { name: 'Ready', of: (row) => readyWords(row) },
    { name: 'Lag, records', ...figureOf('segmentd_consumer_lag_records', count) },
    { name: 'State', ...figureOf('segmentd_state_bytes', bytes) },
    { name: 'Memory', ...figureOf('process_resident_memory_bytes', bytes) },
  ];
  return panel('Processes', table('Processes of the deployment', columns, all));
}

function readyWords({ ready, checks }) {
  const unmet = checks.find((check) => !check.met);
  return el('span', { class: ready ? 'met' : 'unmet' }, ready ? 'yes' : `not yet ${unmet?.check}: ${unmet?.detail}`);
}

function figureOf(name, shown) {
  const sum = (row) => row.scrape.sum(name);
  return { of: (row) => (sum(row) === null ? '–' : shown(sum(row))), sort: sum, number: true };
}

/** One row a partition: how far it is, and what it still has to do. */
function partitions({ processes: all, at }) {
  const rows = all.flatMap((process) => partitionsOf(process, at)).sort((a, b) => a.partition - b.partition);
  const columns = [
    { name: 'Partition', of: (row) => row.partition, sort: (row) => row.partition, head: true },
    all.length > 1 ? { name: 'Process', of: (row) => el('code', {}, row.process ?? 'this one'), sort: (row) => row.process } : null,
    { name: 'Lag, records', of: (row) => count(row.lag), sort: (row) => row.lag, number: true },
    { name: 'Task clock', of: (row) => (row.clock ? instant(row.clock) : 'nothing has happened'), sort: (row) => row.clock },
    { name: 'Behind the wall clock', of: (row) => (row.clock ? span(at - new Date(row.clock)) : '–') },
    { name: 'To restore', of: (row) => count(row.restore), number: true, sort: (row) => row.restore },
    { name: 'To decide anew', of: (row) => count(row.backfill), number: true, sort: (row) => row.backfill },
  ];
  return panel('Partitions', table('Partitions', columns.filter(Boolean), rows, 'No process has a partition.'));
}

function partitionsOf({ address, scrape }) {
  return scrape.of('segmentd_task_clock_timestamp_seconds').map(({ labels: { partition }, value }) => ({
    process: address,
    partition: Number(partition),
    clock: value > 0 ? new Date(value * 1000).toISOString() : null,
    lag: scrape
      .of('segmentd_consumer_lag_records')
      .filter((one) => one.labels.partition === partition)
      .reduce((all, one) => all + one.value, 0),
    restore: scrape.at('segmentd_restore_remaining_records', { partition }),
    backfill: scrape.at('segmentd_backfill_remaining_customers', { partition }),
  }));
}

function streams(scrape) {
  const rows = scrape.by('segmentd_events_applied_total', 'stream').map(([stream, applied]) => ({
    stream,
    applied,
    ...Object.fromEntries(['duplicate', 'late', 'unmatched'].map((kind) => [kind, scrape.at(`segmentd_events_${kind}_total`, { stream })])),
  }));
  const number = (name, of) => ({ name, of: (row) => count(of(row)), sort: of, number: true });
  const columns = [
    { name: 'Stream', of: (row) => row.stream, sort: (row) => row.stream, head: true },
    number('Applied', (row) => row.applied),
    number('Duplicate', (row) => row.duplicate),
    number('Late', (row) => row.late),
    number('Unmatched', (row) => row.unmatched),
  ];
  const reasons = scrape
    .by('segmentd_events_rejected_total', 'reason')
    .map(([reason, number]) => el('li', {}, el('code', {}, reason), ` ${count(number)}`));
  return panel(
    'What came in',
    table('Events by stream', columns, rows, 'No event yet.'),
    reasons.length > 0 ? [el('h3', {}, 'Rejected, by reason'), el('ul', { class: 'plain' }, reasons)] : null,
  );
}
