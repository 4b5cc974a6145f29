// A card that lists what is kept of something: its snapshots, or its backups, each with what can be done with it.

import { get, inProject } from "./api.js";
import { h, listTable, oneAtATime, reconcile, setText } from "./dom.js";
import { icon } from "./icons.js";
import { complain } from "./notices.js";
import { progressBar } from "./progress.js";

// `columns` are titles with what stands there of one; `actions` have `name`, `title`, `sign` and `task(one)`, and may say
// when they fit. `place` answers with the list. What is returned reads it anew.
export function keptCard({ kind, title, subject, none, place, columns, actions, buttons, nameOf = (one) => one.name }) {
  const body = h("tbody");
  const words = h("p", { class: "quiet" }, none);
  const table = listTable([title.slice(0, -1), ...columns.map(([heading]) => heading)], body, { hidden: true });
  const progress = progressBar();
  const element = h("div", { class: "card", id: `${kind}s` }, h("h2", {}, title), words, table, progress.element,
    h("div", { class: "buttons" }, ...buttons));

  function makeRow(one) {
    const row = h("tr", { [`data-${kind}`]: nameOf(one) },
      h("th", { scope: "row" }, h("span", { class: "strong" }, nameOf(one)), h("span", { class: "under" })),
      ...columns.map(([heading]) => h("td", { "data-title": heading })));
    const all = actions.map((action) => h("button", {
      type: "button", class: "plain", "data-action": action.name, title: action.title, "aria-label": `${action.title} ${nameOf(one)}`,
      onclick: () => action.task(row.one, nameOf(row.one)),
    }, icon(action.sign)));
    row.append(h("td", { class: "actions" }, h("div", { class: "buttons tight" }, ...all)));
    return row;
  }

  function updateRow(row, one) {
    row.one = one;
    const cells = row.querySelectorAll("td:not(.actions)");
    columns.forEach(([, text], at) => setText(cells[at], text(one)));
    setText(row.querySelector(".under"), one.description ?? "");
  }

  const refresh = oneAtATime(async () => {
    try {
      const all = await get(place, inProject({ recursion: 1 }));
      words.hidden = all.length > 0;
      table.hidden = !all.length;
      reconcile(body, all, nameOf, makeRow, updateRow);
    } catch (error) {
      // What it is of has gone.
      if (error.status !== 404) complain(error, `${subject}'s ${title.toLowerCase()}`);
    }
  });

  return { element, progress, refresh };
}
