// Where the page begins: signs in, shows the section that the address names, and hands on what happens.

import { get, link } from "./api.js";
import { showCreate } from "./create.js";
import { h, setText } from "./dom.js";
import { showEdit } from "./edit.js";
import { keepEvent, showEvents } from "./events.js";
import { icon } from "./icons.js";
import { showImages } from "./images.js";
import { showImport } from "./import.js";
import { showInstance } from "./instance.js";
import { showInstances } from "./instances.js";
import { listenForKeys, showKeys } from "./keys.js";
import { showNetworks } from "./networks.js";
import { clearNotices, complain } from "./notices.js";
import { showNewPool } from "./newpool.js";
import { showOperations } from "./operations.js";
import { showPool } from "./pool.js";
import { showNewProfile, showProfile, showProfiles } from "./profiles.js";
import { session, takeTokenFromAddress } from "./session.js";
import { showSignIn, whoIsThis } from "./signin.js";
import { showStorage } from "./storage.js";
import { events } from "./stream.js";
import { showVolume } from "./volume.js";

const sections = [
  ["instances", "Instances"], ["images", "Images"], ["profiles", "Profiles"], ["networks", "Networks"], ["storage", "Storage"],
  ["operations", "Operations"], ["events", "Events"],
];
// By the address: `list` of a section, `one` of what it lists, a `part` of that, and the forms.
const views = {
  instances: { list: showInstances, one: showInstance, edit: true }, images: { list: showImages },
  profiles: { list: showProfiles, one: showProfile, edit: true }, networks: { list: showNetworks }, storage: { list: showStorage, one: showPool, part: showVolume },
  operations: { list: showOperations }, events: { list: showEvents },
  create: { list: showCreate, of: "instances" }, import: { list: showImport, of: "instances" }, "new-profile": { list: showNewProfile, of: "profiles" }, "new-pool": { list: showNewPool, of: "storage" },
};

const view = document.getElementById("view");
const nav = document.getElementById("nav");
const tools = document.getElementById("tools");
let isIn = false;
let leaveView = () => {};
let listener = () => {};
let shown = "";

// MARK: sections

function route() {
  if (!isIn) return;
  const [section = "instances", ...parameters] = location.hash.replace(/^#\/?/, "").split("/").filter(Boolean).map(decodeURIComponent);
  const place = views[section] ?? views.instances;
  const show = parameters.length && place.one
    ? parameters[1] === "edit" && place.edit ? (holder) => showEdit(holder, section, parameters[0]) : parameters[1] && place.part || place.one
    : place.list;
  leaveView();
  clearNotices();
  listener = () => {};
  leaveView = show(view, { parameters, onEvent: (task) => { listener = task; } }) ?? (() => {});
  document.title = `${(place.part && parameters[1]) ?? parameters[0] ?? view.querySelector("h1")?.textContent ?? ""} – Volary`;
  for (const anchor of nav.querySelectorAll("a")) {
    const isHere = anchor.hash === `#/${place.of ?? section}`;
    if (isHere) anchor.setAttribute("aria-current", "page");
    else anchor.removeAttribute("aria-current");
  }
  // Where the reading goes on, unless the section has put the focus somewhere: coming back, at the link that led away.
  const isBack = shown.startsWith(`${location.hash}/`) || views[shown.split("/")[1]]?.of === section;
  const way = isBack && [...view.querySelectorAll("a")].find((anchor) => anchor.hash === shown);
  shown = location.hash;
  if (!view.contains(document.activeElement)) (way || document.getElementById("main")).focus({ preventScroll: true });
  scrollTo(0, 0);
}

// MARK: the frame

function showFrame(server, projects) {
  nav.hidden = false;
  nav.replaceChildren(...sections.map(([path, title]) => h("a", { href: `#/${path}` }, icon(path), h("span", {}, title))));
  const choice = h("select", { "aria-label": "Project", onchange: () => {
    session.project = choice.value;
    events.restart();
    // What is shown there may be in the other project alone.
    const [, section, name] = location.hash.split("/");
    if (name) location.hash = `#/${section}`;
    else route();
  } }, ...projects.map((name) => h("option", { value: name, selected: name === session.project }, name)));
  const keys = h("button", { type: "button", class: "plain", "aria-label": "Keyboard shortcuts", title: "Keyboard shortcuts (?)", onclick: showKeys }, icon("help"));
  const leave = h("button", { type: "button", class: "plain", "aria-label": `Sign out ${server.auth_user_name ?? ""}`, title: `Sign out ${server.auth_user_name ?? ""}`, onclick: () => signOut() }, icon("leave"));
  tools.replaceChildren(choice, keys, themeButton(), leave);
}

function themeButton() {
  const words = { system: "as the system", light: "light", dark: "dark" };
  const button = h("button", { type: "button", class: "plain", id: "theme", onclick: () => { window.volaryTheme.turn(); draw(); } });
  const draw = () => {
    const { current } = window.volaryTheme;
    button.replaceChildren(icon(current));
    button.setAttribute("aria-label", `Theme: ${words[current]}`);
    button.title = `Theme: ${words[current]} (t)`;
  };
  draw();
  return button;
}

// MARK: in and out

async function enter(server) {
  let projects = ["default"];
  try {
    projects = (await get("/1.0/projects", { recursion: 1 })).map((project) => project.name);
  } catch (error) { complain(error, "Projects"); }
  if (!projects.includes(session.project)) session.project = projects[0] ?? "default";
  isIn = true;
  showFrame(server, projects);
  if (!location.hash) history.replaceState(null, "", "#/instances");
  route();
  events.start();
}

function signOut(why = "") {
  if (!isIn && !why) return;
  isIn = false;
  session.token = "";
  events.stop();
  leaveView();
  leaveView = () => {};
  listener = () => {};
  nav.hidden = true;
  tools.replaceChildren(themeButton());
  clearNotices();
  document.title = "Volary";
  showSignIn(view, { why, onDone: enter });
}

async function begin() {
  tools.replaceChildren(themeButton());
  takeTokenFromAddress();
  try {
    const server = await whoIsThis();
    if (server) return await enter(server);
    signOut(" ");
  } catch (error) {
    if (error.status === 403) return signOut("This token is not known, or good no more.");
    setText(view.firstChild, "The daemon does not answer. It is asked again.");
    setTimeout(begin, 2000);
  }
}

events.addEventListener("message", ({ detail }) => {
  keepEvent(detail);
  listener(detail);
});
// Something may have been missed: without an event, everything is read again.
events.addEventListener("lost", () => listener(undefined));
link.addEventListener("signedout", () => { if (isIn) signOut("Your token is good no more."); });
addEventListener("hashchange", () => {
  if (location.hash.startsWith("#token=")) {
    isIn = false;
    begin();
  } else route();
});
// An address would name a section: the link moves the focus instead.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  document.getElementById("main").focus();
});
listenForKeys();
begin();
