// The disks in a pool: volumes, and instances' own. Volumes are made here, of nothing or of a backup.

import { get, inProject, path, post, remove } from "./api.js";
import { ask, follow } from "./ask.js";
import { askAndDelete } from "./dialogs.js";
import { h, listTable, oneAtATime, reconcile, setText } from "./dom.js";
import { demandName, field, input, lines, nameField, SIZE } from "./form.js";
import { bytes, nameIn } from "./format.js";
import { icon } from "./icons.js";
import { linkTo, showUsers } from "./links.js";
import { complain, say } from "./notices.js";
import { upload } from "./transfer.js";
import { sharedBox } from "./volumeedit.js";

export const volumePath = (pool, name) => path("storage-pools", pool, "volumes", "custom", name);
export const volumeLink = (pool, name) => `${linkTo("storage", pool)}/${encodeURIComponent(name)}`;
const isOwn = (volume) => volume.type === "custom";

// Deletes it when that is wanted. True when it was done.
export const dropVolume = (pool, name) => askAndDelete(`the volume ${name}`, `${name} is deleted with all that is on it, its snapshots and its backups. This cannot be undone.`, async () => {
  await remove(volumePath(pool, name), inProject());
  say(`The volume ${name} is deleted.`);
});

export function volumesCard(pool, isServer) {
  const collection = path("storage-pools", pool, "volumes");
  const body = h("tbody");
  const none = h("p", { class: "quiet" }, isServer ? "The server lists no disk." : "Nothing is in it.");
  const table = listTable(["Disk", "Size", "Used", "Used by"], body, { hidden: true });
  const button = (action, sign, title, task) => h("button", { type: "button", "data-action": action, onclick: task }, icon(sign), title);
  const element = h("div", { class: "card", id: "volumes" }, h("h2", {}, "Disks"), none, table,
    isServer ? h("p", { class: "quiet" }, "They are the server's exports: it makes, enlarges and deletes them. Here they are attached.")
      : h("div", { class: "buttons" }, button("new-volume", "plus", "New volume", make), button("import-volume", "up", "Import a volume", bring)));

  function makeRow(volume) {
    const drop = h("button", { type: "button", class: "plain", "data-action": "delete", title: "Delete", "aria-label": `Delete the volume ${volume.name}`,
      onclick: async () => { if (await dropVolume(pool, volume.name)) await refresh(); } }, icon("trash"));
    const link = isOwn(volume) ? volumeLink(pool, volume.name) : linkTo("instances", volume.name);
    return h("tr", { "data-row": `${volume.type}/${volume.name}` },
      h("th", { scope: "row" }, h("a", { href: link, "data-row-link": true }, volume.name), h("span", { class: "under" })),
      h("td", { "data-title": "Size" }), h("td", { "data-title": "Used" }), h("td", { "data-title": "Used by" }),
      h("td", { class: "actions" }, h("div", { class: "buttons tight" }, isOwn(volume) && !isServer ? drop : null)));
  }

  function updateRow(row, volume) {
    const [total, used, usedBy] = row.querySelectorAll("td");
    const kind = isOwn(volume) ? isServer ? "the server's" : "a volume" : "the instance's own";
    setText(row.querySelector(".under"), [kind, volume.config["security.shared"] === "true" ? "shared" : "", volume.description].filter(Boolean).join(" · "));
    const { usage } = volume.state ?? {};
    setText(total, usage ? bytes(usage.total) : "–");
    setText(used, usage && !isServer ? bytes(usage.used) : "–");
    showUsers(usedBy, volume.used_by);
    const drop = row.querySelector("button");
    if (drop) drop.hidden = volume.used_by.length > 0;
  }

  // What has gone meanwhile has no state. A server has said all with its list, and is not asked for each disk.
  const withState = async (volume) => ({
    ...volume, state: isServer ? { usage: { total: Number(volume.config.size ?? 0) } }
      : await get(`${path("storage-pools", pool, "volumes", volume.type, volume.name)}/state`, inProject()).catch(() => undefined),
  });

  const refresh = oneAtATime(async () => {
    const all = await Promise.all((await get(collection, inProject({ recursion: 1 }))).map(withState));
    none.hidden = all.length > 0;
    table.hidden = !all.length;
    reconcile(body, all, (volume) => `${volume.type}/${volume.name}`, makeRow, updateRow);
  });

  async function make() {
    const name = nameField();
    const capacity = field({ name: "size", label: "Size", hint: "With a unit; 10GiB when it is empty.", control: input({ placeholder: "10GiB" }) });
    const description = field({ name: "description", label: "Description", control: lines({}) });
    const shared = sharedBox(false);
    await ask({
      title: `New volume in ${pool}`, action: "Create", fields: [name, capacity, description, shared],
      text: "A disk that is no instance's own: it is attached to one, and stays when that goes.",
      demand: (all) => {
        demandName(all, name);
        all.demand(capacity, !capacity.value || SIZE.test(capacity.value), "A size with its unit, such as 20GiB, or nothing.");
      },
      fieldOf: (message) => /\bsize\b|limited/.test(message) ? capacity : /name|already/.test(message) ? name : undefined,
      submit: async () => {
        const config = { ...(capacity.value ? { size: capacity.value } : {}), ...(shared.value ? { "security.shared": "true" } : {}) };
        await post(collection, { name: name.value, type: "custom", content_type: "block", description: description.value, config }, inProject());
        say(`The volume ${name.value} is made.`);
        await refresh();
      },
    });
  }

  async function bring() {
    const file = field({ name: "file", label: "File of a backup", control: h("input", { type: "file" }) });
    const name = field({ name: "name", label: "Name", hint: "Empty for the one that it had.", control: input({ maxlength: 63 }) });
    await ask({
      title: `Import a volume into ${pool}`, action: "Import", fields: [file, name],
      demand: (all) => {
        all.demand(file, file.control.files.length, "Choose a file that was fetched from a backup of a volume.");
        if (name.value) demandName(all, name);
      },
      fieldOf: (message) => /a volume `|name of/.test(message) ? name : undefined,
      submit: async (progress, signal) => {
        const operation = await upload(`${collection}/custom`, inProject(), file.control.files[0], { "X-Incus-name": name.value },
          (done, total) => progress.move("sending it", done, total), signal);
        await follow(operation, progress);
        say(`The volume ${nameIn(operation.resources.storage_volumes?.[0])} is made.`);
        await refresh();
      },
    });
  }

  return { element, refresh: () => refresh().catch((error) => complain(error, `Disks of ${pool}`)) };
}
