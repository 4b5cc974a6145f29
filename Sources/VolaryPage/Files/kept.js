// A card that lists what is kept of something: its snapshots, or its backups, each with what can be done with it.

import { finish, get, inProject, post, remove } from "./api.js";
import { ask, follow } from "./ask.js";
import { askAndDelete } from "./dialogs.js";
import { h, listTable, oneAtATime, reconcile, setText } from "./dom.js";
import { field, input, lines } from "./form.js";
import { isTime, time } from "./format.js";
import { icon } from "./icons.js";
import { complain, say } from "./notices.js";
import { progressBar } from "./progress.js";
import { fromNow, seconds } from "./timespan.js";

export const keptName = () => field({ name: "name", label: "Name", hint: "Empty for one that is made up.", control: input({ maxlength: 63 }) });
export const keptExpiry = (hint) => field({ name: "expiry", label: "Goes after", hint, control: input({ placeholder: "2w" }) });
export const demandExpiry = (all, expiry) =>
  all.demand(expiry, !expiry.value || seconds(expiry.value) !== undefined, "Numbers with M, H, d, w, m or y, such as 3d 12H, or nothing.");
// Which field the daemon's words are about, if any.
export const aboutName = (called) => (message) => /name|already/.test(message) ? called : undefined;
// When it goes by itself.
export const keptUntil = (one) => isTime(one.expires_at) ? time(one.expires_at) : "–";

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

// Snapshots are made alike of whatever has them at its `place`. `boxes` are more fields, by what the API calls them.
export function askSnapshot({ name, place, card, boxes = {} }) {
  const called = keptName();
  const description = field({ name: "description", label: "Description", control: lines({}) });
  const expiry = keptExpiry("Such as 12H, 3d or 4w; empty for what snapshots.expiry says.");
  return ask({
    title: `New snapshot of ${name}`, action: "Create", fields: [called, description, expiry, ...Object.values(boxes)],
    demand: (all) => demandExpiry(all, expiry), fieldOf: aboutName(called),
    submit: async (progress) => {
      const more = Object.fromEntries(Object.entries(boxes).map(([key, box]) => [key, box.value]));
      await follow(await post(`${place}/snapshots`, {
        name: called.value, description: description.value || undefined, expires_at: fromNow(expiry.value), ...more,
      }, inProject()), progress);
      say(`A snapshot of ${name} is made.`);
      await card.refresh();
    },
  });
}

export const snapshotPath = (place, snapshot) => `${place}/snapshots/${encodeURIComponent(snapshot)}`;

export const dropSnapshot = ({ name, place, card }, snapshot) =>
  askAndDelete(`${name}/${snapshot}`, `The snapshot ${snapshot} is deleted. ${name} and copies of it stay as they are.`, async () => {
    await finish(await remove(snapshotPath(place, snapshot), inProject()));
    say(`The snapshot ${snapshot} is deleted.`);
    await card.refresh();
  });
