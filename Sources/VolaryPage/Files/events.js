// What happens, as it happens. What came before this page was opened is not shown.

import { h, setText } from "./dom.js";
import { clock, nameIn } from "./format.js";

const KEPT = 500;
const kept = [];

// A line about an event: what, of which thing, by whom.
function words(event) {
  const { metadata } = event;
  switch (event.type) {
    case "lifecycle": return [metadata.action, nameIn(metadata.source), metadata.context?.reason, metadata.requestor?.username];
    case "operation": return [metadata.description, Object.values(metadata.resources ?? {}).flat().map(nameIn).join(", "), metadata.status, metadata.err];
    default: return [metadata.message ?? JSON.stringify(metadata)];
  }
}

const makeLine = (event) => h("li", { "data-type": event.type },
  h("time", { datetime: event.timestamp }, clock(event.timestamp)), h("span", { class: "tag" }, event.type),
  h("span", { class: "event-text" }, words(event).filter(Boolean).join(" · ")));

// Kept while the page is open, so that the section has something to show.
export function keepEvent(event) {
  kept.push(event);
  if (kept.length > KEPT) kept.shift();
}

export function showEvents(view, { onEvent }) {
  let isPaused = false;
  const list = h("ol", { class: "events" });
  const kind = h("select", { "aria-label": "Kind of events", onchange: () => draw() },
    ...[["", "All kinds"], ["lifecycle", "Changes"], ["operation", "Operations"], ["logging", "Log"]].map(([value, title]) => h("option", { value }, title)));
  const pause = h("button", { type: "button", "aria-pressed": "false", onclick: () => {
    isPaused = !isPaused;
    pause.setAttribute("aria-pressed", String(isPaused));
    setText(pause, isPaused ? "Go on" : "Pause");
    if (!isPaused) draw();
  } }, "Pause");
  const empty = h("p", { class: "empty" }, "Nothing has happened since this page was opened.");
  view.replaceChildren(h("section", { "aria-labelledby": "title" },
    h("div", { class: "head" }, h("h1", { id: "title" }, "Events"), kind, pause), h("div", { class: "card flush" }, list, empty)));

  const fits = (event) => !kind.value || event.type === kind.value;

  function draw() {
    const shown = kept.filter(fits);
    list.replaceChildren(...shown.map(makeLine).reverse());
    empty.hidden = shown.length > 0;
  }

  draw();
  onEvent((event) => {
    if (!event || isPaused || !fits(event)) return;
    empty.hidden = true;
    list.prepend(makeLine(event));
    while (list.childElementCount > KEPT) list.lastChild.remove();
  });
}
