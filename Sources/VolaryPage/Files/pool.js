// One storage pool: how much there is in it, its sides where it has two, and the disks in it.

import { get, inProject, path } from "./api.js";
import { gauge } from "./chart.js";
import { every, h, oneAtATime, setText } from "./dom.js";
import { icon } from "./icons.js";
import { complain } from "./notices.js";
import { facts } from "./pairs.js";
import { askPoolEdit } from "./pooledit.js";
import { sidesCard } from "./sides.js";
import { drivers, poolState, serverTrouble, showPoolState, spaceWords } from "./storage.js";
import { volumesCard } from "./volumes.js";

const INTERVAL = 2000;
// Each disk is asked about.
const DISKS_INTERVAL = 10_000;

export function showPool(view, { parameters: [name], onEvent }) {
  const place = path("storage-pools", name);
  const chip = h("span", { class: "chip" });
  const why = h("p", { class: "reason" });
  const meter = gauge(`Used of ${name}`);
  const space = h("p", { class: "quiet" });
  const about = h("div");
  const sides = sidesCard(name, () => refresh());
  const holder = h("div");
  const section = h("section", { "aria-labelledby": "title" },
    h("div", { class: "head" },
      h("a", { class: "button plain", href: "#/storage", "aria-label": "Back to the pools" }, icon("back")), h("h1", { id: "title" }, name), chip,
      h("button", { type: "button", class: "last", "data-action": "edit", onclick: async () => { if (await askPoolEdit(name)) refresh(); } }, icon("edit"), "Edit")),
    why,
    h("div", { class: "grid two" },
      h("div", { class: "card" }, h("h2", {}, "About"), about, h("div", { class: "space" }, meter.element, space)), sides.element), holder);
  view.replaceChildren(section);
  let volumes;
  let isThere = false;
  let shown = "";

  // Why there is nothing to be had stands above.
  const refreshDisks = async () => { if (isThere) await volumes?.refresh(); };

  const refresh = oneAtATime(async () => {
    try {
      const pool = await get(place, inProject());
      const isServer = pool.driver === "nbd";
      const [resources, trouble] = await Promise.all([
        isServer ? undefined : get(`${place}/resources`).catch(() => undefined), isServer ? serverTrouble(name) : undefined,
      ]);
      if (!section.isConnected) return;
      showPoolState(chip, why, poolState(pool, trouble));
      meter.element.toggleAttribute("hidden", !resources);
      const { used, total } = resources?.space ?? {};
      meter.set(total ? used / total : 0, spaceWords(resources, isServer)[0]);
      setText(space, isServer ? "How much room there is, the server does not say." : spaceWords(resources).filter(Boolean).join("; "));
      await sides.show(pool.sides);
      if (!volumes) {
        volumes = volumesCard(name, isServer);
        holder.replaceChildren(volumes.element);
        every(DISKS_INTERVAL, section, refreshDisks);
      }
      isThere = !trouble;
      const key = JSON.stringify(pool);
      if (key === shown) return;
      shown = key;
      const { source, "volary.mirror": mirror, ...others } = pool.config;
      about.replaceChildren(facts([
        ...(pool.description ? [["Description", pool.description]] : []), ["What it is", mirror ? "Two directories" : drivers[pool.driver] ?? pool.driver],
        [isServer ? "Server" : "Directory", source ?? "–"], ...(mirror ? [["Second directory", mirror]] : []),
        ...Object.entries(others).sort(),
      ]));
    } catch (error) {
      if (error.status === 404 && section.isConnected) location.hash = "#/storage";
      else complain(error, name);
    }
  });

  onEvent((event) => {
    if (event && !/^(storage|instance)-/.test(event.metadata?.action ?? "")) return;
    refresh();
    refreshDisks();
  });
  every(INTERVAL, section, refresh);
}
