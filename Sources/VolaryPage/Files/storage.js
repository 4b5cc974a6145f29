// Where instances' disks are: pools, what there is in them, and who uses them.

import { get, inProject, path, remove } from "./api.js";
import { gauge } from "./chart.js";
import { askAndDelete } from "./dialogs.js";
import { every, h, listTable, oneAtATime, reconcile, setText } from "./dom.js";
import { bytes } from "./format.js";
import { icon } from "./icons.js";
import { linkTo, showUsers } from "./links.js";
import { complain, say } from "./notices.js";

const INTERVAL = 10_000;
const DEFAULT = "default";
const place = "/1.0/storage-pools";

export const drivers = { dir: "A directory", nbd: "A server (NBD)" };

// Why a server cannot be asked for its disks; nothing when it can.
export const serverTrouble = (name) => get(`${path("storage-pools", name)}/volumes/custom`, inProject()).then(() => undefined, (error) => error);

// The state of a pool with why it is in it. Of a server's, the daemon knows when it is asked.
export function poolState(pool, trouble) {
  if (trouble) return { state: trouble.status === 403 ? pool.status : "Unavailable", why: trouble.text ?? String(trouble) };
  return { state: pool.status, why: pool.conditions.find((condition) => condition.message)?.message ?? "" };
}

export function showPoolState(chip, reason, { state, why }) {
  chip.dataset.state = state;
  setText(chip, state);
  setText(reason, why);
}

// Used of all, and what is promised.
export function spaceWords(resources, isServer) {
  if (isServer) return ["the server does not say", ""];
  if (!resources) return ["not known", ""];
  const { used, total, promised } = resources.space;
  return [`${bytes(used)} of ${bytes(total)}`, `disks may grow to ${bytes(promised)}`];
}

function makeRow({ name }, refresh) {
  const row = h("tr", { "data-row": name },
    h("th", { scope: "row" }, h("a", { href: linkTo("storage", name), "data-row-link": true }, name), h("span", { class: "under" })),
    h("td", { class: "state", "data-title": "State" }, h("span", { class: "chip" }), h("span", { class: "under reason" })),
    h("td", { class: "space", "data-title": "Used" }, h("span", { class: "words" }), h("span", { class: "under" })),
    h("td", { class: "words", "data-title": "Place" }), h("td", { "data-title": "Used by" }),
    h("td", { class: "actions" }, h("div", { class: "buttons tight" },
      h("button", { type: "button", class: "plain", "data-action": "delete", title: "Delete", "aria-label": `Delete the pool ${name}`, onclick: () => drop(name, refresh) }, icon("trash")))));
  row.gauge = gauge(`Used of ${name}`);
  row.querySelector(".space").prepend(row.gauge.element);
  return row;
}

function updateRow(row, { resources, trouble, ...pool }) {
  const [, space, places, usedBy] = row.querySelectorAll("td");
  const mirror = pool.config["volary.mirror"];
  setText(row.querySelector("th .under"), [`driver ${pool.driver}`, mirror ? "mirrored" : "", pool.description].filter(Boolean).join(" · "));
  showPoolState(row.querySelector(".chip"), row.querySelector(".reason"), poolState(pool, trouble));
  const [words, promise] = spaceWords(resources, pool.driver === "nbd");
  const { used, total } = resources?.space ?? {};
  row.gauge.element.toggleAttribute("hidden", !resources);
  row.gauge.set(total ? used / total : 0, words);
  setText(space.querySelector(".words"), words);
  setText(space.querySelector(".under"), promise);
  setText(places, [pool.config.source ?? "–", mirror].filter(Boolean).join(" and "));
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
  const table = listTable(["Pool", "State", "Used", "Place", "Used by"], body, { hidden: true });
  const section = h("section", { "aria-labelledby": "title" },
    h("div", { class: "head" }, h("h1", { id: "title" }, "Storage"), h("a", { class: "button main", href: "#/new-pool" }, icon("plus"), "New pool")),
    h("div", { class: "card flush" }, table),
    h("p", { class: "quiet" }, "A disk stays in the pool that it was made in. A pool in which nothing is can be deleted."));
  view.replaceChildren(section);

  // Of a pool that is not there, its condition says why.
  const complete = async (pool) => pool.driver === "nbd" ? { ...pool, trouble: await serverTrouble(pool.name) }
    : { ...pool, resources: await get(`${path("storage-pools", pool.name)}/resources`).catch(() => undefined) };

  const refresh = oneAtATime(async () => {
    try {
      const all = await Promise.all((await get(place, inProject({ recursion: 1 }))).map(complete));
      if (!section.isConnected) return;
      reconcile(body, all, (pool) => pool.name, (pool) => makeRow(pool, refresh), updateRow);
      table.hidden = !all.length;
    } catch (error) { complain(error, "Storage"); }
  });

  onEvent((event) => { if (!event || /^(storage|instance|profile)-/.test(event.metadata?.action ?? "")) refresh(); });
  every(INTERVAL, section, refresh);
}
