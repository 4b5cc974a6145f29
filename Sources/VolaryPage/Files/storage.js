// Where instances' disks are: pools, what there is in them, and who uses them.

import { get, inProject, path, post, remove } from "./api.js";
import { gauge } from "./chart.js";
import { askAndDelete } from "./dialogs.js";
import { every, h, listTable, oneAtATime, reconcile, setText } from "./dom.js";
import { checker, demandName, field, form, input, lines, nameField } from "./form.js";
import { bytes } from "./format.js";
import { icon } from "./icons.js";
import { showUsers } from "./links.js";
import { complain, say } from "./notices.js";

const INTERVAL = 10_000;
const DEFAULT = "default";
const place = "/1.0/storage-pools";

function makeRow({ name }, refresh) {
  const row = h("tr", { "data-row": name, tabindex: "-1" },
    h("th", { scope: "row" }, h("span", { class: "strong" }, name), h("span", { class: "under" })),
    h("td", { class: "state", "data-title": "State" }, h("span", { class: "chip" }), h("span", { class: "under reason" })),
    h("td", { class: "space", "data-title": "Used" }, h("span", { class: "words" }), h("span", { class: "under" })),
    h("td", { class: "words", "data-title": "Directory" }), h("td", { "data-title": "Used by" }),
    h("td", { class: "actions" }, h("div", { class: "buttons tight" },
      h("button", { type: "button", class: "plain", "data-action": "delete", title: "Delete", "aria-label": `Delete the pool ${name}`, onclick: () => drop(name, refresh) }, icon("trash")))));
  row.gauge = gauge(`Used of ${name}`);
  row.querySelector(".space").prepend(row.gauge.element);
  return row;
}

function updateRow(row, { resources, ...pool }) {
  const [, space, directory, usedBy] = row.querySelectorAll("td");
  setText(row.querySelector("th .under"), [`driver ${pool.driver}`, pool.description].filter(Boolean).join(" · "));
  const chip = row.querySelector(".chip");
  chip.dataset.state = pool.status;
  setText(chip, pool.status);
  setText(row.querySelector(".reason"), pool.conditions.find((condition) => condition.message)?.message ?? "");
  const { used, total, promised } = resources?.space ?? {};
  const words = resources ? `${bytes(used)} of ${bytes(total)}` : "not known";
  row.gauge.element.toggleAttribute("hidden", !resources);
  row.gauge.set(total ? used / total : 0, words);
  setText(space.querySelector(".words"), words);
  setText(space.querySelector(".under"), resources ? `disks may grow to ${bytes(promised)}` : "");
  setText(directory, pool.config.source ?? "–");
  showUsers(usedBy, pool.used_by);
  row.querySelector("button").hidden = pool.name === DEFAULT || pool.used_by.length > 0;
}

const drop = (name, refresh) => askAndDelete(name, `The pool ${name} is deleted. Nothing is in it; what else is in its directory stays.`, async () => {
  await remove(path("storage-pools", name));
  say(`The pool ${name} is deleted.`);
  await refresh();
});

export function showStorage(view, { onEvent }) {
  const body = h("tbody");
  const table = listTable(["Pool", "State", "Used", "Directory", "Used by"], body, { hidden: true });
  const section = h("section", { "aria-labelledby": "title" },
    h("div", { class: "head" }, h("h1", { id: "title" }, "Storage"), h("a", { class: "button main", href: "#/new-pool" }, icon("plus"), "New pool")),
    h("div", { class: "card flush" }, table),
    h("p", { class: "quiet" }, "A disk stays in the pool that its instance was made in. A pool in which nothing is can be deleted."));
  view.replaceChildren(section);

  // Of a pool that is not there, its condition says why.
  const withResources = async (pool) => ({ ...pool, resources: await get(`${path("storage-pools", pool.name)}/resources`).catch(() => undefined) });

  const refresh = oneAtATime(async () => {
    try {
      const all = await Promise.all((await get(place, inProject({ recursion: 1 }))).map(withResources));
      if (!section.isConnected) return;
      reconcile(body, all, (pool) => pool.name, (pool) => makeRow(pool, refresh), updateRow);
      table.hidden = !all.length;
    } catch (error) { complain(error, "Storage"); }
  });

  onEvent((event) => { if (!event || /^(storage|instance|profile)-/.test(event.metadata?.action ?? "")) refresh(); });
  every(INTERVAL, section, refresh);
}

export function showNewPool(view) {
  const fields = {
    name: nameField(),
    description: field({ name: "description", label: "Description", control: lines({}) }),
    source: field({ name: "source", label: "Directory", hint: "An empty one on the daemon's host. Without any, one of the daemon's own is made.", control: input({ placeholder: "/srv/volary" }) }),
  };
  const section = h("section", { "aria-labelledby": "title" }, h("div", { class: "head" }, h("h1", { id: "title" }, "New pool")), form({
    content: Object.values(fields).map((one) => one.element), action: "Make it", back: "#/storage",
    fieldOf: (message) => /name of a storage pool|a storage pool `/.test(message) ? fields.name : /source|director|folder|\//.test(message) ? fields.source : undefined,
    submit: async () => {
      const { name, description, source } = fields;
      const all = checker();
      demandName(all, name);
      all.demand(source, !source.value || source.value.startsWith("/"), "A path from / on, or nothing.");
      if (!all.isRight) return;
      await post(place, { name: name.value, driver: "dir", description: description.value, config: source.value ? { source: source.value } : {} });
      say(`The pool ${name.value} is made.`);
      if (section.isConnected) location.hash = "#/storage";
    },
  }));
  view.replaceChildren(section);
  fields.name.control.focus();
}
