// Lines and columns over time, drawn by uPlot.
//
// Invariant: what a chart shows can be read without it: each has a name, and a sentence that says the same in words.

import uPlot from './uplot/uPlot.esm.js';
import { el, fill } from './dom.js';
import { day, instant, short } from './format.js';
import { colour, redrawn } from './theme.js';

const HEIGHT = 220;
/** Seconds that an axis covers at least. */
const SHORTEST = 10;
/** Ticks where only whole numbers can be. */
const WHOLE = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].flatMap((zeros) => [1, 2, 5].map((digit) => digit * 10 ** zeros));

/**
 * A chart of `series` ({name, colour, columns: drawn as such, step: drawn as steps}); `whole`: of numbers of customers.
 * `show(times, values, sentence)` draws: seconds, a list for each series, and the same in words.
 */
export function chart({ name, series, height = HEIGHT, signal, legend = series.length > 1, whole = false }) {
  const holder = el('div', { class: 'plot' });
  const words = el('p', { class: 'plot-words' });
  const figure = el('div', { class: 'chart', role: 'group', 'aria-label': name }, holder, words);
  let plot = null;
  let given = null;
  const width = () => Math.max(holder.clientWidth, 120);
  const draw = () => {
    if (!given || !holder.isConnected) return;
    plot?.destroy();
    plot = new uPlot({ ...options(series, legend, whole), width: width(), height }, given, holder);
  };
  const fit = new ResizeObserver(() => (plot ? plot.setSize({ width: width(), height }) : draw()));
  fit.observe(holder);
  signal.addEventListener('abort', () => {
    fit.disconnect();
    plot?.destroy();
  });
  redrawn(draw, signal);
  return {
    figure,
    show(times, values, sentence) {
      given = [times, ...values];
      fill(words, sentence);
      if (plot) plot.setData(given);
      else draw();
    },
  };
}

function options(series, legend, whole) {
  const ink = colour('ink-soft');
  const lines = { stroke: colour('line'), width: 1 };
  const axis = { stroke: ink, grid: lines, ticks: { show: false }, font: '11px system-ui, sans-serif' };
  return {
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC'),
    legend: { show: legend },
    cursor: { y: false, points: { size: 6 } },
    // A column is as wide as its step: half of the first and of the last would be cut off.
    scales: {
      x: { range: (plot, low, high) => (series.some((one) => one.columns) ? wider(plot, low, high) : extent(plot.data[0], low, high)) },
      y: { range: (_, low, high) => [Math.min(0, low), high > 0 ? high * 1.08 : low < 0 ? 0 : 1] },
    },
    axes: [
      { ...axis, space: 80, size: 30, values: (_, ticks, __, ___, step) => ticks.map((at) => clock(at, step)) },
      { ...axis, size: 46, values: (_, ticks) => ticks.map((tick) => short(Math.abs(tick))), ...(whole ? { incrs: WHOLE } : {}) },
    ],
    series: [{ label: 'At', value: (_, at) => (at === null ? '–' : instant(at * 1000)) }, ...series.map(drawnAs)],
  };
}

/** From where to where a line's axis goes. uPlot hands in years for a single instant. */
export function extent(times, low, high) {
  return [low, Math.max(Math.min(high, times.at(-1) ?? high), low + SHORTEST)];
}

function wider(plot, low, high) {
  const half = (high - low) / Math.max(2 * ((plot.data[0]?.length ?? 1) - 1), 2);
  return [low - half, high + half];
}

/** An instant below a chart whose ticks are so many seconds apart. */
function clock(seconds, step) {
  const iso = new Date(seconds * 1000).toISOString();
  if (step < 60) return iso.slice(11, 19);
  if (step < 86400) return iso.slice(11, 16) === '00:00' ? shortDay(seconds) : iso.slice(11, 16);
  return step < 28 * 86400 ? shortDay(seconds) : iso.slice(0, 7);
}

function shortDay(seconds) {
  return day(seconds * 1000).replace(/ \d{4}$/, '');
}

function drawnAs({ name, colour: variable, columns, step }) {
  const stroke = colour(variable);
  const paths = columns ? uPlot.paths.bars({ size: [0.8, 24] }) : step ? uPlot.paths.stepped({ align: 1 }) : undefined;
  const value = (_, number) => (number === null ? '–' : short(Math.abs(number)));
  return { label: name, stroke, fill: columns ? stroke : `${stroke}22`, width: columns ? 0 : 1.75, points: { show: false }, paths, value };
}
