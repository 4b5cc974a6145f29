// Links to what the API names by paths.

import { h } from "./dom.js";
import { nameIn } from "./format.js";
import { session } from "./session.js";

// Names that are shown before the rest is a number.
const SHOWN = 5;

export const linkTo = (section, name) => `#/${section}/${encodeURIComponent(name)}`;

// Links, as pairs of where they lead and what they are called, in a paragraph.
export const linkList = (links) => h("p", { class: "users" }, ...links.flatMap(([href, name], at) => [at ? ", " : null, h("a", { href }, name)]));

function linkOf(place) {
  const project = new URLSearchParams(place.split("?")[1] ?? "").get("project") ?? "default";
  const [, , section, pool, part] = place.split("/");
  const name = nameIn(place);
  const word = section === "profiles" ? `the profile ${name}` : name;
  if (project !== session.project) return `${word} (${project})`;
  if (part === "volumes") return h("a", { href: `${linkTo("storage", decodeURIComponent(pool))}/${encodeURIComponent(name)}` }, `the volume ${name}`);
  return h("a", { href: linkTo(section, name) }, word);
}

// Those who use something, as a paragraph; all of them when there is room.
export function users(places, { most = SHOWN } = {}) {
  const shown = places.slice(0, most).flatMap((place, at) => [at ? ", " : null, linkOf(place)]);
  const rest = places.length - most;
  return h("p", { class: "users" }, ...(places.length ? shown : ["–"]), rest > 0 ? ` and ${rest} more` : null);
}

// The same in a list's cell, made anew only when they change, so that focus stays.
export function showUsers(cell, places) {
  const key = places.join();
  if (cell.dataset.shown === key) return;
  cell.replaceChildren(users(places));
  cell.dataset.shown = key;
}
