// One volume: what it uses, who has it, its snapshots and backups.

import { get, inProject, patch, path, post } from "./api.js";
import { ask, check, follow } from "./ask.js";
import { attach, attachments } from "./attachments.js";
import { backupCard } from "./backups.js";
import { every, h, oneAtATime } from "./dom.js";
import { demandName, field, input, SIZE } from "./form.js";
import { bytes, time } from "./format.js";
import { icon } from "./icons.js";
import { aboutName } from "./kept.js";
import { linkList, linkTo } from "./links.js";
import { complain, say } from "./notices.js";
import { facts } from "./pairs.js";
import { askRename } from "./rename.js";
import { askVolumeEdit } from "./volumeedit.js";
import { dropVolume, volumeLink, volumePath } from "./volumes.js";
import { volumeSnapshotCard } from "./volumesnapshots.js";

const INTERVAL = 3000;

export function showVolume(view, { parameters: [pool, name], onEvent }) {
  const place = volumePath(pool, name);
  const buttons = h("div", { class: "buttons" });
  const about = h("div", { class: "card" });
  const holders = attachments(pool, name, () => refresh());
  const kept = h("div", { class: "stack" });
  const section = h("section", { "aria-labelledby": "title" },
    h("div", { class: "head" },
      h("a", { class: "button plain", href: linkTo("storage", pool), "aria-label": `Back to the pool ${pool}` }, icon("back")),
      h("h1", { id: "title" }, name)),
    buttons, h("div", { class: "grid two" }, about, holders.element), kept);
  view.replaceChildren(section);
  let cards = [];
  let shown = "";

  const button = (action, sign, title, task, classes = "") => h("button", { type: "button", class: classes, "data-action": action, onclick: task }, icon(sign), title);
  const resizing = button("resize", "grow", "Resize", () => resize());
  const renaming = button("rename", "edit", "Rename", () => askRename(name, place, (called) => { location.hash = volumeLink(pool, called); }));
  const copying = button("copy", "copy", "Copy", () => copy(name));
  const deleting = button("delete", "trash", "Delete", async () => {
    if (await dropVolume(pool, name)) location.hash = linkTo("storage", pool);
  }, "danger-text");
  buttons.append(button("attach", "link", "Attach", () => attach(pool, name).then(refresh)));

  // What is a server's is changed there.
  async function begin() {
    try {
      const { driver } = await get(path("storage-pools", pool), inProject());
      if (!section.isConnected) return;
      const isServer = driver === "nbd";
      buttons.append(button("edit", "edit", "Edit", async () => { if (await askVolumeEdit(name, place, isServer)) await refresh(); }));
      if (isServer) return;
      buttons.append(resizing, renaming, copying, deleting);
      cards = [volumeSnapshotCard({ name, place, copy }), backupCard({ name, place, only: "volume_only" })];
      kept.replaceChildren(...cards.map((card) => card.element));
    } catch (error) { complain(error, pool); }
  }

  const refresh = oneAtATime(async () => {
    try {
      const [volume, state] = await Promise.all([get(place, inProject()), get(`${place}/state`, inProject())]);
      if (!section.isConnected) return;
      holders.show(volume.used_by);
      deleting.hidden = volume.used_by.length > 0;
      const key = JSON.stringify([volume, state]);
      if (key === shown) return;
      shown = key;
      about.replaceChildren(h("h2", {}, "About"), facts([
        ...(volume.description ? [["Description", volume.description]] : []),
        ["Pool", linkList([[linkTo("storage", pool), pool]])], ["Size", bytes(state.usage.total)], ["Used on the host", bytes(state.usage.used)],
        ["Made", time(volume.created_at)],
        ...Object.entries(volume.config).filter(([title]) => title !== "size").sort(),
      ]));
    } catch (error) {
      if (error.status === 404 && section.isConnected && location.hash === volumeLink(pool, name)) {
        say(`${name} is gone.`);
        location.hash = linkTo("storage", pool);
      } else complain(error, name);
    }
  });

  function resize() {
    const size = field({ name: "size", label: "How large it is to be", hint: "With a unit, such as 40GiB.", control: input({}) });
    return ask({
      title: `Resize ${name}`, action: "Resize", fields: [size], fieldOf: () => size,
      text: "It becomes larger, and not smaller. A machine that has it sees the new size at once; what is on it stays as it is.",
      demand: (all) => all.demand(size, SIZE.test(size.value), "A size with its unit, such as 40GiB."),
      submit: async () => {
        await patch(place, { config: { size: size.value } }, inProject());
        say(`${name} has ${size.value}.`);
        await refresh();
      },
    });
  }

  // Of the volume, or of one of its snapshots: `data/before`.
  function copy(source) {
    const called = field({ name: "name", label: "Name of the new volume", control: input({ maxlength: 63 }) });
    const alone = check("alone", "Leave its snapshots out");
    return ask({
      title: `Copy ${source}`, action: "Copy", fields: source === name ? [called, alone] : [called], text: "No data is copied: both share what is there.",
      demand: (all) => demandName(all, called), fieldOf: aboutName(called),
      submit: async (progress) => {
        await follow(await post(path("storage-pools", pool, "volumes", "custom"), {
          name: called.value, type: "custom", content_type: "block", source: { type: "copy", name: source, pool, volume_only: alone.value },
        }, inProject()), progress);
        say(`${called.value} is made.`);
        location.hash = volumeLink(pool, called.value);
      },
    });
  }

  begin();
  onEvent((event) => {
    if (event && !/^(storage|instance)-/.test(event.metadata?.action ?? "")) return;
    refresh();
    for (const card of cards) card.refresh();
  });
  every(INTERVAL, section, refresh);
}
