// The form that makes an instance of a backup's file.

import { get, inProject } from "./api.js";
import { follow } from "./ask.js";
import { h } from "./dom.js";
import { checker, demandInstanceName, field, form, input } from "./form.js";
import { nameIn } from "./format.js";
import { linkTo } from "./links.js";
import { complain, say } from "./notices.js";
import { progressBar } from "./progress.js";
import { poolChoice } from "./settings.js";
import { upload } from "./transfer.js";

export function showImport(view) {
  const fields = {
    file: field({ name: "file", label: "File of a backup", hint: "As volary export writes it, or as it is fetched from the backups of an instance.", control: h("input", { type: "file" }) }),
    name: field({ name: "name", label: "Name", hint: "Empty for the one that it had.", control: input({ maxlength: 63 }) }),
    pool: field({ name: "pool", label: "Storage pool", hint: "Its disk stays there.", control: poolChoice([], "", "The usual one") }),
  };
  const progress = progressBar();
  const section = h("section", { "aria-labelledby": "title" }, h("div", { class: "head" }, h("h1", { id: "title" }, "Import an instance")), form({
    content: [...Object.values(fields).map((one) => one.element), progress.element], action: "Import", back: "#/instances", submit: bring,
    fieldOf: (message) => /storage pool/.test(message) ? fields.pool : /an instance `|name of an instance/.test(message) ? fields.name : /backup|archive|file/.test(message) ? fields.file : undefined,
  }));
  view.replaceChildren(section);
  fields.file.control.focus();
  fillPools();

  async function fillPools() {
    try {
      const pools = await get("/1.0/storage-pools", inProject({ recursion: 1 }));
      fields.pool.control.append(...pools.filter((pool) => pool.driver !== "nbd").map(({ name }) => h("option", { value: name }, name)));
    } catch (error) { complain(error, "Storage"); }
  }

  async function bring() {
    const { file, name, pool } = fields;
    const all = checker();
    all.demand(file, file.control.files.length, "Choose a file.");
    demandInstanceName(all, name);
    if (!all.isRight) return;
    try {
      const headers = { "X-Incus-name": name.value, "X-Incus-pool": pool.value };
      const operation = await upload("/1.0/instances", inProject(), file.control.files[0], headers, (done, total) => progress.move("sending it", done, total));
      const { metadata } = await follow(operation, progress);
      const made = nameIn(operation.resources.instances[0]);
      say(`${made} is made.`);
      if (section.isConnected) location.hash = linkTo("instances", made);
      // After the section has changed, which puts notices away.
      setTimeout(() => {
        for (const device of metadata?.volumes_left_out ?? []) complain(new Error(`it has no device ${device}: its volume is not here, or is another's`), made);
      });
    } finally { progress.hide(); }
  }
}
