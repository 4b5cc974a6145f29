// Profiles: configuration and devices that instances share.

import { get, getTagged, inProject, path, post, remove } from "./api.js";
import { deviceText } from "./devices.js";
import { askAndDelete } from "./dialogs.js";
import { every, h, listTable, oneAtATime, reconcile, setText } from "./dom.js";
import { checker, demandName, form, nameField } from "./form.js";
import { icon } from "./icons.js";
import { linkTo, showUsers, users } from "./links.js";
import { complain, say } from "./notices.js";
import { pairTable } from "./pairs.js";
import { settings } from "./settings.js";

const INTERVAL = 10_000;
const DEFAULT = "default";
const place = "/1.0/profiles";

// Why it cannot be deleted; nothing when it can.
function hold({ name, used_by: usedBy }) {
  if (name === DEFAULT) return "The profile default is always there; what is not wanted can be taken out of it.";
  if (usedBy.length) return "It can be deleted when no instance has it: take it away where they are edited.";
  return "";
}

const drop = ({ name }) => askAndDelete(name, `The profile ${name} is deleted. No instance has it.`, async () => {
  await remove(path("profiles", name), inProject());
  say(`The profile ${name} is deleted.`);
});

const summary = ({ config, devices }) => [...Object.entries(config).map(([key, value]) => `${key}=${value.split("\n")[0].slice(0, 60)}`), ...Object.keys(devices)].sort().join(", ");

function makeRow({ name }, refresh) {
  const row = h("tr", { "data-row": name },
    h("th", { scope: "row" }, h("a", { href: linkTo("profiles", name), "data-row-link": true }, name), h("span", { class: "under" })),
    h("td", { class: "words", "data-title": "Gives" }), h("td", { "data-title": "Used by" }),
    h("td", { class: "actions" }, h("div", { class: "buttons tight" },
      h("a", { class: "button plain", href: `${linkTo("profiles", name)}/edit`, title: "Edit", "aria-label": `Edit the profile ${name}` }, icon("edit")),
      h("button", { type: "button", class: "plain", "data-action": "delete", title: "Delete", "aria-label": `Delete the profile ${name}`,
        onclick: async () => { if (await drop({ name })) refresh(); } }, icon("trash")))));
  return row;
}

function updateRow(row, profile) {
  const [gives, usedBy] = row.querySelectorAll("td");
  setText(row.querySelector(".under"), profile.description);
  setText(gives, summary(profile) || "nothing");
  showUsers(usedBy, profile.used_by);
  row.querySelector("button").hidden = hold(profile) !== "";
}

export function showProfiles(view, { onEvent }) {
  const body = h("tbody");
  const table = listTable(["Name", "Gives", "Used by"], body, { hidden: true });
  const section = h("section", { "aria-labelledby": "title" },
    h("div", { class: "head" }, h("h1", { id: "title" }, "Profiles"), h("a", { class: "button main", href: "#/new-profile" }, icon("plus"), "New profile")),
    h("div", { class: "card flush" }, table),
    h("p", { class: "quiet" }, "What a profile says goes for all instances that have it, where they do not say otherwise themselves."));
  view.replaceChildren(section);

  const refresh = oneAtATime(async () => {
    try {
      const profiles = await get(place, inProject({ recursion: 1 }));
      if (!section.isConnected) return;
      reconcile(body, profiles, (profile) => profile.name, (one) => makeRow(one, refresh), updateRow);
      table.hidden = !profiles.length;
    } catch (error) { complain(error, "Profiles"); }
  });

  // Instances come and go with what they have.
  onEvent((event) => { if (!event || /^(profile|instance)-/.test(event.metadata?.action ?? "")) refresh(); });
  every(INTERVAL, section, refresh);
}

export function showProfile(view, { parameters: [name], onEvent }) {
  const about = h("p", { class: "reason" });
  const why = h("p", { class: "quiet" });
  const cards = h("div", { class: "grid two" });
  const button = h("button", { type: "button", class: "danger-text", "data-action": "delete", hidden: true, onclick: async () => {
    if (await drop({ name })) location.hash = "#/profiles";
  } }, icon("trash"), "Delete");
  const section = h("section", { "aria-labelledby": "title" },
    h("div", { class: "head" },
      h("a", { class: "button plain", href: "#/profiles", "aria-label": "Back to the profiles" }, icon("back")), h("h1", { id: "title" }, name)),
    about,
    h("div", { class: "buttons" }, h("a", { class: "button", href: `${linkTo("profiles", name)}/edit`, "data-edit": true }, icon("edit"), "Edit"), button),
    cards, why);
  view.replaceChildren(section);
  let shown;

  const refresh = oneAtATime(async () => {
    try {
      const { value: profile, tag } = await getTagged(path("profiles", name), inProject());
      if (section.isConnected && tag !== shown) draw(profile);
      shown = tag;
    } catch (error) {
      if (error.status !== 404) return complain(error, name);
      if (!section.isConnected || location.hash !== linkTo("profiles", name)) return;
      say(`${name} is gone.`);
      location.hash = "#/profiles";
    }
  });

  function draw(profile) {
    setText(about, profile.description);
    setText(why, hold(profile));
    button.hidden = hold(profile) !== "";
    cards.replaceChildren(
      h("div", { class: "stack" }, pairTable("Configuration", profile.config, "It says nothing of that."),
        pairTable("Devices", Object.fromEntries(Object.entries(profile.devices).map(([key, device]) => [key, deviceText(device)])), "It gives none.")),
      h("div", { class: "card" }, h("h2", {}, "Used by"), profile.used_by.length ? users(profile.used_by, { most: 200 }) : h("p", { class: "quiet" }, "No instance has it.")));
  }

  onEvent((event) => { if (!event || /^(profile|instance)-/.test(event.metadata?.action ?? "")) refresh(); });
  every(INTERVAL, section, refresh);
}

export function showNewProfile(view) {
  const body = h("div", {}, h("p", { class: "quiet" }, "Loading…"));
  const section = h("section", { "aria-labelledby": "title" }, h("div", { class: "head" }, h("h1", { id: "title" }, "New profile")), body);
  view.replaceChildren(section);
  load();

  async function load() {
    const pools = await get("/1.0/storage-pools", inProject({ recursion: 1 })).catch(() => []);
    if (section.isConnected) show(pools);
  }

  function show(pools) {
    const name = nameField();
    const rest = settings({ value: { description: "", config: {}, devices: {} }, pools });
    body.replaceChildren(form({
      content: [name.element, ...rest.elements], action: "Make it", back: "#/profiles",
      fieldOf: (message) => /name of a profile|a profile `/.test(message) ? name : rest.fieldOf(message),
      submit: async () => {
        const all = checker();
        demandName(all, name);
        if (!rest.check() || !all.isRight) return;
        await post(place, { name: name.value, ...rest.result() }, inProject());
        say(`The profile ${name.value} is made.`);
        if (section.isConnected) location.hash = linkTo("profiles", name.value);
      },
    }));
    name.control.focus();
  }
}
