// The list of instances: a table where there is room, cards on phones; what each uses, as it changes.

import { get, inProject } from "./api.js";
import { showActions } from "./actions.js";
import { sparkline } from "./chart.js";
import { every, h, listTable, oneAtATime, reconcile, setText } from "./dom.js";
import { age, bytes, percent } from "./format.js";
import { icon } from "./icons.js";
import { linkTo } from "./links.js";
import { complain, say } from "./notices.js";
import { Meter } from "./usage.js";

const INTERVAL = 2000;

// Its machine stands still, and goes on by itself when there is room.
const fullDisk = (instance) => instance.conditions.find((condition) => condition.type === "DiskFull");

// Why it is as it is, in a line: what is wrong with it now, or how it ended.
export function reason(instance) {
  const wrong = fullDisk(instance) ?? instance.conditions.find((condition) => condition.message);
  if (wrong) return wrong.message;
  if (instance.status !== "Stopped") return "";
  return instance.exit?.message ?? "";
}

export function showState(chip, instance) {
  const state = fullDisk(instance) ? "No room" : instance.status;
  if (chip.dataset.state === state) return;
  if (chip.dataset.state) say(`${instance.name}: ${state}`);
  chip.dataset.state = state;
  setText(chip, state);
}

// What is wrong stands out where the machine waits for somebody.
export function showReason(element, instance) {
  setText(element, reason(instance));
  element.toggleAttribute("data-urgent", Boolean(fullDisk(instance)));
}

function makeRow(instance) {
  const cell = (name, title) => h("td", { class: name, "data-title": title });
  const row = h("tr", { "data-row": instance.name },
    h("th", { scope: "row" }, h("a", { href: linkTo("instances", instance.name), "data-row-link": true }, instance.name),
      h("span", { class: "under" })),
    h("td", { class: "state", "data-title": "State" }, h("span", { class: "chip" }), h("span", { class: "under reason" })),
    cell("cpu", "CPU"), cell("memory", "Memory"), cell("disk", "Disk"), cell("since", "Up"),
    h("td", { class: "actions" }, h("div", { class: "buttons tight" })));
  row.meter = new Meter();
  row.spark = sparkline();
  row.querySelector(".cpu").append(h("span", {}), row.spark.element);
  return row;
}

function updateRow(row, instance, refresh) {
  const { state } = instance;
  const sample = row.meter.take(instance);
  setText(row.querySelector("th .under"), [instance.architecture, instance.description].filter(Boolean).join(" · "));
  const chip = row.querySelector(".chip");
  showState(chip, instance);
  showReason(row.querySelector(".reason"), instance);
  const runs = instance.status === "Running" && state;
  row.spark.set(row.meter.cpu);
  setText(row.querySelector(".cpu span"), runs && sample ? percent(sample.cpu) : runs ? "…" : "–");
  setText(row.querySelector(".memory"), runs ? `${bytes(state.memory.usage)} of ${bytes(state.memory.total)}` : "–");
  setText(row.querySelector(".disk"), state?.disk?.root ? `${bytes(state.disk.root.usage)} of ${bytes(state.disk.root.total)}` : "–");
  setText(row.querySelector(".since"), runs ? age(state.started_at) : "–");
  showActions(row.querySelector(".actions .buttons"), instance, { onDone: refresh });
}

export function showInstances(view, { onEvent }) {
  const body = h("tbody");
  const search = h("input", { type: "search", placeholder: "Search", "aria-label": "Search instances", oninput: () => draw() });
  const count = h("p", { class: "quiet count", role: "status" });
  const empty = h("div", { class: "empty", hidden: true });
  const table = listTable(["Name", "State", "CPU", "Memory", "Disk", "Up"], body);
  const section = h("section", { "aria-labelledby": "title" },
    h("div", { class: "head" }, h("h1", { id: "title" }, "Instances"), search,
      h("a", { class: "button", href: "#/import" }, icon("up"), "Import"), h("a", { class: "button main", href: "#/create" }, icon("plus"), "Create")),
    h("div", { class: "card flush" }, table, empty), count);
  view.replaceChildren(section);
  let all = [];

  function draw() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = all.filter((instance) => {
      const text = [instance.name, instance.status, instance.description, instance.architecture, reason(instance)].join(" ").toLowerCase();
      return words.every((word) => text.includes(word));
    });
    reconcile(body, found, (instance) => instance.name, makeRow, (row, instance) => updateRow(row, instance, refresh));
    table.hidden = found.length === 0;
    empty.hidden = found.length !== 0;
    if (all.length === 0) {
      empty.replaceChildren(h("p", {}, "There is no instance in this project yet."),
        h("a", { class: "button main", href: "#/create" }, "Create the first"));
    } else if (found.length === 0) empty.replaceChildren(h("p", {}, "No instance fits the search."));
    const running = all.filter((instance) => instance.status === "Running").length;
    setText(count, all.length ? `${running} running, ${all.length} in all${words.length ? `, ${found.length} shown` : ""}` : "");
  }

  const refresh = oneAtATime(async () => {
    try {
      all = (await get("/1.0/instances", inProject({ recursion: 2 }))).sort((a, b) => a.name.localeCompare(b.name));
      if (section.isConnected) draw();
    } catch (error) { complain(error, "Instances"); }
  });

  onEvent((event) => {
    if (!event || (event.type === "lifecycle" && event.metadata.action?.startsWith("instance-"))) refresh();
  });
  every(INTERVAL, section, refresh);
}
