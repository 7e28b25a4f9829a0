// Questions to the service, with the token of whoever sits here.
//
// Invariant: the token is kept for this tab alone (sessionStorage) and is sent to the server that the page came from, in a
// header, and nowhere else. (That server asks the other processes with it.) Whatever is not a good answer becomes a Refusal, which says in words what to do.

const ROOT = new URL('../', document.baseURI);
const KEPT_AS = 'segmentd-token';

/** Why there is no answer. `status` 0: nobody answered. */
export class Refusal extends Error {
  constructor(status, problem = {}, headers = new Headers()) {
    super(problem.detail ?? problem.title ?? `the service answers ${status}`);
    this.status = status;
    this.problem = problem;
    /** The scope that the token lacks. */
    this.scope = /scope="([^"]*)"/.exec(headers.get('www-authenticate') ?? '')?.[1];
    this.retryAfter = Number(headers.get('retry-after') ?? 0);
  }
}

export function token() {
  try {
    return sessionStorage.getItem(KEPT_AS) ?? '';
  } catch {
    return ''; // The browser keeps nothing for this page.
  }
}

export function keepToken(text) {
  if (text) sessionStorage.setItem(KEPT_AS, text);
  else sessionStorage.removeItem(KEPT_AS);
}

/** A path whose parts are percent-encoded: path`customers/${id}/explain`. */
export function path(texts, ...parts) {
  // Browsers take these for steps in the tree, however they are written.
  if (parts.some((part) => part === '.' || part === '..')) {
    throw new Refusal(400, { detail: 'an id of dots alone cannot stand in an address: ask for it with POST /api/v1/memberships' });
  }
  return texts.reduce((made, text, i) => made + encodeURIComponent(parts[i - 1]) + text);
}

/** Asks for what all processes say together. */
export const ALL = { processes: 'all' };

/** The JSON that a route below /api/v1 answers. */
export function get(route, parameters = {}, signal = undefined) {
  return json(`api/v1/${route}${query(parameters)}`, { signal });
}

/** Parameters behind a path; of a list the parts are separated by commas, which are not theirs. */
function query(parameters) {
  const given = Object.entries(parameters).filter(([, value]) => ![undefined, null, ''].includes(value) && value?.length !== 0);
  const written = given.map(([name, value]) => `${name}=${[value].flat().map(encodeURIComponent).join(',')}`);
  return written.length > 0 ? `?${written.join('&')}` : '';
}

export function post(route, body, signal = undefined, parameters = {}) {
  const headers = { 'content-type': 'application/json' };
  return json(`api/v1/${route}${query(parameters)}`, { method: 'POST', headers, body: JSON.stringify(body), signal });
}

/** A route beside the interface, as text, whatever its status: `/metrics`. */
export async function text(route, signal = undefined) {
  const response = await ask(route, { signal });
  if (!response.ok) throw await refusal(response);
  return response.text();
}

/** What `/readyz` says, also when it says no. */
export async function readiness(signal = undefined) {
  const response = await ask('readyz', { signal });
  const told = await response.json();
  return { ready: response.ok, checks: told.checks ?? [], detail: told.detail };
}

/** An answer that goes on. */
export async function open(route, parameters, signal) {
  const response = await ask(`api/v1/${route}${query(parameters)}`, { signal, headers: { accept: 'text/event-stream' } });
  if (!response.ok) throw await refusal(response);
  return response.body;
}

async function json(route, options) {
  const response = await ask(route, options);
  if (!response.ok) throw await refusal(response);
  return response.json();
}

async function ask(route, options) {
  const headers = new Headers(options.headers);
  if (token()) headers.set('authorization', `Bearer ${token()}`);
  try {
    return await fetch(new URL(route, ROOT), { ...options, headers, cache: 'no-store', credentials: 'omit' });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Refusal(0, { detail: 'the service does not answer' });
  }
}

async function refusal(response) {
  const problem = await response.json().catch(() => ({}));
  return new Refusal(response.status, problem, response.headers);
}
