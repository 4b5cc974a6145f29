// What instances are made from. Images are the host's; they are built there.

import { finish, get, inProject, path, remove } from "./api.js";
import { askAndDelete } from "./dialogs.js";
import { every, h, listTable, reconcile, setText } from "./dom.js";
import { bytes, time } from "./format.js";
import { icon } from "./icons.js";
import { complain, say } from "./notices.js";

const INTERVAL = 10_000;
const nameOf = (image) => image.aliases[0]?.name ?? image.fingerprint.slice(0, 12);

export function showImages(view, { onEvent }) {
  const body = h("tbody");
  const empty = h("div", { class: "empty", hidden: true }, h("p", {}, "There is no image yet."));
  const table = listTable(["Name", "Architecture", "Size", "Kernel", "Made"], body);
  const section = h("section", { "aria-labelledby": "title" },
    h("div", { class: "head" }, h("h1", { id: "title" }, "Images")),
    h("div", { class: "card flush" }, table, empty),
    h("p", { class: "quiet" }, "Images are made on the daemon's host: ", h("code", {}, "volary image build debian/13"), ", ",
      h("code", {}, "volary image import"), "."));
  view.replaceChildren(section);

  function makeRow(image) {
    const name = nameOf(image);
    return h("tr", { "data-row": image.fingerprint },
      h("th", { scope: "row" }, h("span", { class: "strong" }), h("span", { class: "under" })),
      h("td", { "data-title": "Architecture" }), h("td", { "data-title": "Size" }), h("td", { "data-title": "Kernel" }), h("td", { "data-title": "Made" }),
      h("td", { class: "actions" }, h("div", { class: "buttons tight" },
        h("button", { type: "button", class: "plain", title: "Delete", "aria-label": `Delete the image ${name}`, onclick: () => drop(image) }, icon("trash")))));
  }

  function updateRow(row, image) {
    setText(row.querySelector(".strong"), nameOf(image));
    setText(row.querySelector(".under"), image.properties.description ?? "");
    const texts = [image.properties.architecture ?? image.architecture, bytes(image.size), image.properties.kernel ?? "–", time(image.created_at)];
    [...row.querySelectorAll("td:not(.actions)")].forEach((cell, at) => setText(cell, texts[at]));
  }

  function drop(image) {
    const name = nameOf(image);
    return askAndDelete(name, `No instance can be made from ${name} any more; those that were go on. It can be built again.`, async () => {
      await finish(await remove(path("images", image.fingerprint), inProject()));
      say(`The image ${name} is deleted.`);
      await refresh();
    });
  }

  async function refresh() {
    try {
      const images = await get("/1.0/images", inProject({ recursion: 1 }));
      reconcile(body, images, (image) => image.fingerprint, makeRow, updateRow);
      table.hidden = !images.length;
      empty.hidden = images.length > 0;
    } catch (error) { complain(error, "Images"); }
  }

  onEvent((event) => { if (!event || event.metadata?.action?.startsWith("image-")) refresh(); });
  every(INTERVAL, section, refresh);
}
