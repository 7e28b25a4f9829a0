// The service's own figures, read from /metrics.
//
// Source: Prometheus text exposition format 0.0.4.
//
// Invariant: a series that is not there is nothing, never 0: a partition that has gone must not look idle.

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** Several scrapes as one: every sample of each. */
export function together(scrapes) {
  const names = new Set(scrapes.flatMap((scrape) => scrape.names()));
  return new Scrape(new Map([...names].map((name) => [name, scrapes.flatMap((scrape) => scrape.of(name))])));
}

/** Every sample of a scrape, by name. */
export function parse(text) {
  const byName = new Map();
  for (const line of text.split('\n')) {
    const found = line.startsWith('#') ? null : LINE.exec(line);
    if (!found) continue;
    const sample = { labels: labels(found[2] ?? ''), value: Number(found[3].replace('Inf', 'Infinity')) };
    if (byName.has(found[1])) byName.get(found[1]).push(sample);
    else byName.set(found[1], [sample]);
  }
  return new Scrape(byName);
}

function labels(text) {
  const unescaped = (value) => value.replace(/\\(.)/g, (_, letter) => (letter === 'n' ? '\n' : letter));
  return Object.fromEntries([...text.matchAll(LABEL)].map(([, name, value]) => [name, unescaped(value)]));
}

export class Scrape {
  #byName;

  constructor(byName) {
    this.#byName = byName;
  }

  names() {
    return [...this.#byName.keys()];
  }

  /** The samples of a metric. */
  of(name) {
    return this.#byName.get(name) ?? [];
  }

  /** The sum over all labels; null: there is no series. */
  sum(name) {
    const samples = this.of(name);
    return samples.length > 0 ? samples.reduce((sum, sample) => sum + sample.value, 0) : null;
  }

  /** Sums by one label, the largest first, those at 0 left out. */
  by(name, label) {
    const sums = new Map();
    for (const sample of this.of(name)) sums.set(sample.labels[label], (sums.get(sample.labels[label]) ?? 0) + sample.value);
    return [...sums].filter(([, value]) => value > 0).sort((a, b) => b[1] - a[1]);
  }

  /** The sum of the series with these labels, one for each process; null: there is none. */
  at(name, wanted) {
    const matches = (sample) => Object.entries(wanted).every(([label, value]) => sample.labels[label] === value);
    const found = this.of(name).filter(matches);
    return found.length > 0 ? found.reduce((sum, sample) => sum + sample.value, 0) : null;
  }
}

/** How much a sum has grown each second between two scrapes; null: it is not known yet. */
export function rate(before, after, name, seconds) {
  const [from, until] = [before?.sum(name), after.sum(name)];
  // Less than before: the process has started anew.
  return from === undefined || from === null || until === null || until < from ? null : (until - from) / seconds;
}

/** A quantile of what a histogram saw between two scrapes, in its own unit; null: it saw nothing. */
export function quantile(before, after, name, q) {
  const bucket = (scrape, le) =>
    scrape
      .of(`${name}_bucket`)
      .filter((s) => s.labels.le === le)
      .reduce((sum, s) => sum + s.value, 0);
  const bounds = [...new Set(after.of(`${name}_bucket`).map((sample) => sample.labels.le))];
  const grown = bounds.map((le) => [le === '+Inf' ? Infinity : Number(le), bucket(after, le) - (before ? bucket(before, le) : 0)]);
  grown.sort((a, b) => a[0] - b[0]);
  const total = grown.at(-1)?.[1] ?? 0;
  if (total <= 0) return null;
  const at = grown.findIndex(([, seen]) => seen >= q * total);
  const [low, below] = at > 0 ? grown[at - 1] : [0, 0];
  const [high, seen] = grown[at];
  return high === Infinity ? low : low + ((high - low) * (q * total - below)) / (seen - below);
}
