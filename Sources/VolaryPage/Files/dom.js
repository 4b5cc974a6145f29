// Builds what is shown. Everything that comes from outside becomes text, never markup.

const SVG = "http://www.w3.org/2000/svg";

// An element: `class`, `on…` listeners, booleans and plain attributes; children are elements and texts.
export function h(tag, attributes = {}, ...children) { return fill(document.createElement(tag), attributes, children); }

// The same of SVG.
export function s(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function setText(element, text) {
  if (element.textContent !== String(text)) element.textContent = text;
}

// A list with titles over its columns; the last may be of buttons, whose title is for those who listen.
export function listTable(titles, body, { hasActions = true, ...attributes } = {}) {
  return h("table", { class: "list", ...attributes },
    h("thead", {}, h("tr", {}, ...titles.map((title) => h("th", { scope: "col" }, title)),
      hasActions ? h("th", { scope: "col" }, h("span", { class: "unseen" }, "Actions")) : null)), body);
}

const rowsOf = new WeakMap();

// Puts one element for each item in order, keeping those that are there, so that focus and selection stay.
export function reconcile(container, items, keyOf, make, update) {
  if (!rowsOf.has(container)) rowsOf.set(container, new Map());
  const known = rowsOf.get(container);
  const wanted = new Set(items.map(keyOf));
  for (const [key, row] of known) {
    if (!wanted.has(key)) { row.remove(); known.delete(key); }
  }
  let place = container.firstChild;
  for (const item of items) {
    const key = keyOf(item);
    let row = known.get(key);
    if (!row) { row = make(item); known.set(key, row); }
    if (row === place) place = place.nextSibling;
    else container.insertBefore(row, place);
    update(row, item);
  }
}

let lastIdentifier = 0;
export const identifier = (word) => `${word}-${++lastIdentifier}`;

// `task`, never twice at a time, or an old answer could be shown over a new one. Who asks while it runs gets one more
// run after it, which sees what has happened since.
export function oneAtATime(task) {
  let running;
  let next;
  return function run() {
    if (!running) return running = task().finally(() => { running = undefined; });
    return next ??= running.then(() => {
      next = undefined;
      return run();
    });
  };
}

// Calls `task` again and again while `element` is on the page and the page is seen; each time it waits for the end of
// the last, and longer when that took long.
export function every(milliseconds, element, task) {
  let timer;
  const turn = async () => {
    if (!element.isConnected) return document.removeEventListener("visibilitychange", wake);
    const start = performance.now();
    if (!document.hidden) await task();
    timer = setTimeout(turn, Math.max(milliseconds, 4 * (performance.now() - start)));
  };
  const wake = () => {
    if (document.hidden) return;
    clearTimeout(timer);
    turn();
  };
  document.addEventListener("visibilitychange", wake);
  queueMicrotask(turn);
}
