// What the daemon is doing, and what it has done within the hour.

import { get, inProject, remove } from "./api.js";
import { every, h, listTable, reconcile, setText } from "./dom.js";
import { age, nameIn } from "./format.js";
import { attempt, complain } from "./notices.js";

const INTERVAL = 2000;

const subject = (operation) => Object.values(operation.resources ?? {}).flat().map(nameIn).join(", ");

function makeRow(operation, refresh) {
  const cancel = h("button", { type: "button", onclick: () => attempt("Cancel", async () => {
    await remove(`/1.0/operations/${operation.id}`);
    await refresh();
  }) }, "Cancel");
  return h("tr", { "data-row": operation.id, tabindex: "-1" },
    h("th", { scope: "row" }, h("span", { class: "strong" }, operation.description), h("span", { class: "under" })),
    h("td", { class: "state", "data-title": "State" }, h("span", { class: "chip" }), h("span", { class: "under reason" })),
    h("td", { "data-title": "Progress" }, h("progress", { max: 1, hidden: true }), h("span", { class: "under" })),
    h("td", { "data-title": "Begun" }),
    h("td", { class: "actions" }, h("div", { class: "buttons tight" }, cancel)));
}

function updateRow(row, operation) {
  setText(row.querySelector("th .under"), subject(operation));
  const chip = row.querySelector(".chip");
  chip.dataset.state = operation.status;
  setText(chip, operation.status);
  setText(row.querySelector(".reason"), operation.err ?? "");
  const { progress } = operation.metadata ?? {};
  const runs = operation.status_code < 200;
  const bar = row.querySelector("progress");
  bar.hidden = !runs || !progress?.total;
  if (progress?.total) bar.value = progress.done / progress.total;
  setText(row.querySelectorAll("td")[1].lastChild, runs ? progress?.phase ?? "" : "");
  setText(row.querySelectorAll("td")[2], `${age(operation.created_at)} ago`);
  row.querySelector("button").hidden = !operation.may_cancel;
}

export function showOperations(view, { onEvent }) {
  const body = h("tbody");
  const empty = h("div", { class: "empty" }, h("p", {}, "Nothing runs, and nothing has within the hour."));
  const table = listTable(["Operation", "State", "Progress", "Begun"], body, { hidden: true });
  const section = h("section", { "aria-labelledby": "title" },
    h("div", { class: "head" }, h("h1", { id: "title" }, "Operations")), h("div", { class: "card flush" }, table, empty));
  view.replaceChildren(section);

  async function refresh() {
    try {
      const groups = await get("/1.0/operations", inProject({ recursion: 1 }));
      const all = Object.values(groups).flat().sort((a, b) =>
        (a.status_code >= 200) - (b.status_code >= 200) || b.created_at.localeCompare(a.created_at));
      reconcile(body, all.slice(0, 200), (operation) => operation.id, (one) => makeRow(one, refresh), updateRow);
      table.hidden = !all.length;
      empty.hidden = all.length > 0;
    } catch (error) { complain(error, "Operations"); }
  }

  onEvent((event) => { if (!event || event.type === "operation") refresh(); });
  every(INTERVAL, section, refresh);
}
