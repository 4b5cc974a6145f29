// What guests' network cards can be on: Volary's own, and the host's as its kernel shows them.

import { get, inProject, path } from "./api.js";
import { every, h, listTable, oneAtATime, reconcile, setText } from "./dom.js";
import { bytes } from "./format.js";
import { showUsers } from "./links.js";
import { complain } from "./notices.js";

const INTERVAL = 5000;

const makeRow = ({ name }) => h("tr", { "data-row": name, tabindex: "-1" },
  h("th", { scope: "row" }, h("span", { class: "strong" }, name), h("span", { class: "under" })),
  h("td", { class: "state", "data-title": "State" }, h("span", { class: "chip" })),
  h("td", { class: "type", "data-title": "Type" }, h("span"), h("span", { class: "under" })), h("td", { class: "words", "data-title": "Addresses" }),
  h("td", { class: "moved", "data-title": "In and out" }, h("span"), h("span")), h("td", { "data-title": "Used by" }));

// Volary's own is no device of the host's, and nothing is counted there.
const isCounted = (network, state) => state && !network.managed;

function updateRow(row, { state, ...network }) {
  const [, type, addresses, moved, usedBy] = row.querySelectorAll("td");
  setText(row.querySelector("th .under"), network.description);
  const chip = row.querySelector(".chip");
  chip.dataset.state = state?.state ?? "unknown";
  setText(chip, state?.state ?? "not known");
  setText(type.firstChild, network.type);
  const members = state?.bridge?.upper_devices ?? [];
  setText(type.lastChild, [state ? `MTU ${state.mtu}` : "", members.length ? `with ${members.join(", ")}` : ""].filter(Boolean).join(", "));
  setText(addresses, state?.addresses.map(({ address, netmask }) => `${address}/${netmask}`).join(", ") || "–");
  const counters = isCounted(network, state) ? state.counters : undefined;
  setText(moved.firstChild, counters ? `${bytes(counters.bytes_received)} in` : "–");
  setText(moved.lastChild, counters ? `${bytes(counters.bytes_sent)} out` : "");
  showUsers(usedBy, network.used_by);
}

export function showNetworks(view, { onEvent }) {
  const body = h("tbody");
  const table = listTable(["Name", "State", "Type", "Addresses", "In and out", "Used by"], body, { hasActions: false, hidden: true });
  const section = h("section", { "aria-labelledby": "title" },
    h("div", { class: "head" }, h("h1", { id: "title" }, "Networks")), h("div", { class: "card flush" }, table),
    h("p", { class: "quiet" }, "Bridges are made on the daemon's host. An instance is put on one where it is edited, by a device such as ",
      h("code", {}, "type=nic, network=br0"), "."));
  view.replaceChildren(section);

  // A device that has gone meanwhile has no state.
  const withState = async (network) => ({ ...network, state: await get(`${path("networks", network.name)}/state`, inProject()).catch(() => undefined) });

  const refresh = oneAtATime(async () => {
    try {
      const networks = await get("/1.0/networks", inProject({ recursion: 1 }));
      const all = await Promise.all(networks.sort((a, b) => b.managed - a.managed || a.name.localeCompare(b.name)).map(withState));
      if (!section.isConnected) return;
      reconcile(body, all, (network) => network.name, makeRow, updateRow);
      table.hidden = !all.length;
    } catch (error) { complain(error, "Networks"); }
  });

  onEvent((event) => { if (!event || /^instance-(created|deleted|updated)/.test(event.metadata?.action ?? "")) refresh(); });
  every(INTERVAL, section, refresh);
}
