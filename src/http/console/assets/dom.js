// Elements, made from what a page knows.
//
// Invariant: whatever comes from data becomes text. Nothing here, or anywhere in the console, parses HTML, and an address
// that is not http, https or a place in this page is never made a link.

/** An element with attributes, listeners (`onclick`) and children: elements, texts, lists of them; null and false are left out. */
export function el(tag, attributes = {}, ...children) {
  return dressed(document.createElement(tag), attributes, children);
}

/** The same for drawings. */
export function svg(tag, attributes = {}, ...children) {
  return dressed(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children);
}

/** Puts other children in the place of an element's own. */
export function fill(parent, ...children) {
  parent.replaceChildren(...nodes(children));
  return parent;
}

function dressed(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'href') element.setAttribute(name, safe(value));
    else if (name === 'value') element.value = value;
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(...nodes(children));
  return element;
}

function nodes(children) {
  const wanted = children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
  return wanted.map((child) => (child instanceof Node ? child : document.createTextNode(String(child))));
}

function safe(address) {
  return /^(#|https?:\/\/)/.test(address) ? address : '#';
}

/** The address of a page: its parts percent-encoded, `parameters` behind them. */
export function to(parts, parameters = {}) {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== '');
  const query = given.length > 0 ? `?${new URLSearchParams(given)}` : '';
  return `#/${parts.map(encodeURIComponent).join('/')}${query}`;
}

export function customerLink(id) {
  return el('a', { href: to(['customers', id]), class: 'id' }, id);
}

/** A link to a segment, by its name where it has one. */
export function segmentLink(key, name) {
  return el('a', { href: to(['segments', key]), class: name ? 'name' : 'id' }, name ?? key);
}
