// Transitions as they are committed: server-sent events, read from a fetch, since an EventSource cannot send a token.
//
// Source: WHATWG HTML §9.2.6, of which the service writes `event`, `id`, `data` and comments.
//
// Invariant: whoever listens is told when nothing more will come, and when something was missed; and the connection is gone
// once the page is left.

import { ALL, open, Refusal } from './api.js';

const PATIENCE = 2000;

/**
 * Listens until `signal` is aborted, and connects again when the connection is lost. While nobody sees the page it does not
 * listen: a browser has six connections to a server, and a few forgotten tabs would take them all.
 * `told(kind, object)`; `state('open' | 'lost' | 'dropped', partitions)`, these with `open`. A refusal that will not change ends it.
 */
export async function listen(segments, signal, told, state) {
  while (!signal.aborted) {
    const seen = new AbortController();
    const look = () => document.hidden && seen.abort();
    document.addEventListener('visibilitychange', look);
    try {
      await once(segments, AbortSignal.any([signal, seen.signal]), (event) => {
        if (event.kind === 'open') state('open', JSON.parse(event.data).partitions);
        else if (event.kind === 'dropped') state('dropped');
        else told(event.kind, JSON.parse(event.data));
      });
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Refusal && [400, 401, 403, 404].includes(error.status)) throw error;
    } finally {
      document.removeEventListener('visibilitychange', look);
    }
    if (!signal.aborted) state('lost');
    do await new Promise((done) => setTimeout(done, PATIENCE));
    while (document.hidden && !signal.aborted);
  }
}

async function once(segments, signal, each) {
  const reader = (await open('transitions', { segment: segments, ...ALL }, signal)).pipeThrough(new TextDecoderStream()).getReader();
  let pending = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (pending + value).split('\n\n');
    pending = blocks.pop();
    blocks
      .map(parsed)
      .filter((event) => event.data !== '')
      .forEach(each);
  }
}

/** One event of a stream. */
export function parsed(block) {
  const event = { kind: 'message', data: '' };
  for (const line of block.split('\n')) {
    const [, field, value] = /^([^:]*):? ?(.*)$/.exec(line);
    if (field === 'event') event.kind = value;
    if (field === 'data') event.data += value;
  }
  return event;
}
