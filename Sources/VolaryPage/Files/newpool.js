// The form for a new pool: a directory, two that have the same, or a server.

import { post } from "./api.js";
import { h } from "./dom.js";
import { checker, demandName, field, form, input, lines, nameField } from "./form.js";
import { say } from "./notices.js";
import { projectsField } from "./pooledit.js";
import { drivers } from "./storage.js";

// Which field an error of the daemon is about, by the words that it names things with.
const subjects = [
  ["name", /name of a storage pool|there is a storage pool `/], ["server", /driver nbd|nbd:|has that server|server/], ["mirror", /one side|volary\.mirror/],
];

export function showNewPool(view) {
  const driver = h("select", { onchange: () => turn() }, ...Object.entries(drivers).map(([value, title]) => h("option", { value }, title)));
  const fields = {
    name: nameField(),
    driver: field({ name: "driver", label: "What it is", control: driver }),
    source: field({ name: "source", label: "Directory", hint: "An empty one on the daemon's host. Without any, one of the daemon's own is made.", control: input({ placeholder: "/srv/volary" }) }),
    mirror: field({ name: "mirror", label: "Second directory", hint: "On another disk: everything is in both then, and either may be lost. Empty for none.", control: input({ placeholder: "/mnt/b" }) }),
    server: field({ name: "server", label: "Server", hint: "Its exports are the pool's disks; several hosts may have it.", control: input({ placeholder: "nbd://store:10809" }) }),
    projects: projectsField(),
    description: field({ name: "description", label: "Description", control: lines({}) }),
  };
  const isServer = () => driver.value === "nbd";

  function turn() {
    for (const one of ["source", "mirror"]) fields[one].element.hidden = isServer();
    for (const one of ["server", "projects"]) fields[one].element.hidden = !isServer();
  }

  // What the daemon's words name: a path that was typed, or a subject.
  function fieldOf(message) {
    const { source, mirror } = fields;
    const subject = subjects.find(([, words]) => words.test(message))?.[0];
    if (isServer()) return subject === "name" ? fields.name : fields.server;
    if (subject === "name" || subject === "mirror") return fields[subject];
    const typed = [mirror, source].find((one) => one.value && message.includes(one.value));
    return typed ?? (/source|director|folder|\//.test(message) ? source : undefined);
  }

  function config() {
    const { source, mirror, server, projects } = fields;
    const said = isServer() ? { source: server.value, "volary.projects": projects.value } : { source: source.value, "volary.mirror": mirror.value };
    return Object.fromEntries(Object.entries(said).filter(([, value]) => value));
  }

  const section = h("section", { "aria-labelledby": "title" }, h("div", { class: "head" }, h("h1", { id: "title" }, "New pool")), form({
    content: Object.values(fields).map((one) => one.element), action: "Make it", back: "#/storage", fieldOf,
    submit: async () => {
      const { name, source, mirror, server, description } = fields;
      const all = checker();
      demandName(all, name);
      if (isServer()) all.demand(server, /^nbd/.test(server.value), "Such as nbd://store:10809.");
      else {
        all.demand(source, !source.value || source.value.startsWith("/"), "A path from / on, or nothing.");
        all.demand(mirror, !mirror.value || mirror.value.startsWith("/"), "A path from / on, or nothing.");
      }
      if (!all.isRight) return;
      await post("/1.0/storage-pools", { name: name.value, driver: driver.value, description: description.value, config: config() });
      say(`The pool ${name.value} is made.`);
      if (section.isConnected) location.hash = "#/storage";
    },
  }));
  turn();
  view.replaceChildren(section);
  fields.name.control.focus();
}
