// Numbers, instants and spans as people read them.
//
// Invariant: instants are shown in UTC, as rules mean them, and relative to the clock of whoever told them: a service that
// loads history lives in the past, and the browser's clock knows nothing of it.

const WHOLE = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const SHORT = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });

export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** `1,204`; of nothing `–`. */
export function count(number) {
  return number === null || number === undefined || Number.isNaN(number) ? '–' : WHOLE.format(number);
}

/** `1.2K`: where there is little room. */
export function short(number) {
  return Math.abs(number) < 10000 ? figure(number) : SHORT.format(number);
}

/** A measured number: three digits that count. */
export function figure(number) {
  if (number === null || number === undefined || !Number.isFinite(number)) return '–';
  const digits = Math.abs(number) >= 100 ? 0 : Math.abs(number) >= 10 ? 1 : 2;
  return new Intl.NumberFormat('en', { maximumFractionDigits: digits }).format(number);
}

/** `12.5%` of a share. */
export function percent(share) {
  return `${(100 * share).toFixed(1)}%`;
}

/** A decimal text with its thousands apart. The digits stay what they are: no number is made of them. */
export function decimal(text) {
  const parts = /^(-?)(\d+)(\.\d+)?$/.exec(text ?? '');
  if (!parts) return text === '' ? '""' : (text ?? 'none');
  return parts[1] + parts[2].replace(/\B(?=(\d{3})+$)/g, ',') + (parts[3] ?? '');
}

/** `31 Jan 2026, 10:00:07`; seconds and milliseconds where there are some. */
export function instant(text) {
  const at = new Date(text);
  if (Number.isNaN(at.getTime())) return String(text);
  const iso = at.toISOString();
  const seconds = at.getUTCMilliseconds() ? iso.slice(16, 23) : at.getUTCSeconds() ? iso.slice(16, 19) : '';
  return `${day(at)}, ${iso.slice(11, 16)}${seconds}`;
}

/** `31 Jan 2026`. */
export function day(at) {
  return new Intl.DateTimeFormat('en-GB', { timeZone: 'UTC', day: 'numeric', month: 'short', year: 'numeric' }).format(new Date(at));
}

/** `2 d 4 h`: the two largest units. */
export function span(milliseconds) {
  const units = [
    ['y', 365 * DAY],
    ['d', DAY],
    ['h', HOUR],
    ['min', MINUTE],
    ['s', SECOND],
  ];
  let rest = Math.abs(milliseconds);
  if (rest < SECOND) return `${Math.round(rest)} ms`;
  const first = units.findIndex(([, length]) => rest >= length);
  const told = [];
  for (const [unit, length] of units.slice(first, first + 2)) {
    const whole = Math.floor(rest / length);
    rest -= whole * length;
    if (whole > 0) told.push(`${whole} ${unit}`);
  }
  return told.join(' ');
}

/** `in 2 d 4 h`, `3 min ago`: seen from `now`, an instant as text. */
export function relative(text, now) {
  const distance = new Date(text) - new Date(now);
  if (!Number.isFinite(distance)) return '';
  if (Math.abs(distance) < SECOND) return 'now';
  return distance > 0 ? `in ${span(distance)}` : `${span(distance)} ago`;
}

/** `12.4 MB`, in powers of 1,000. */
export function bytes(number) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let step = 0;
  while (number >= 1000 && step < units.length - 1) {
    number /= 1000;
    step += 1;
  }
  return `${figure(number)} ${units[step]}`;
}

/** `1 customer`, `2 customers`. */
export function many(number, one, more = `${one}s`) {
  return `${count(number)} ${number === 1 ? one : more}`;
}

/** `a, b and c`. */
export function listed(texts) {
  return texts.length < 2 ? texts.join('') : `${texts.slice(0, -1).join(', ')} and ${texts.at(-1)}`;
}

/** What a field of date and time says, as an instant: such a field leaves out what is zero. */
export function utc(value) {
  return value === '' ? '' : `${value}${value.length === 16 ? ':00' : ''}Z`;
}
