// The form for a new instance.

import { get, inProject, post } from "./api.js";
import { follow } from "./ask.js";
import { isPort, given, portDevices, portTexts, rootOf, usualRoot } from "./devices.js";
import { h } from "./dom.js";
import { checker, demandInstanceName, field, form, input, SIZE } from "./form.js";
import { bytes, nameIn } from "./format.js";
import { linkTo } from "./links.js";
import { complain, say } from "./notices.js";
import { progressBar } from "./progress.js";
import { profileRows } from "./rows.js";
import { poolChoice } from "./settings.js";

// Which field an error of the daemon is about, by the words that it names things with.
const subjects = [
  ["memory", /limits\.memory|\bmemory\b/], ["cpus", /limits\.cpu|\bCPUs?\b/], ["pool", /\bstorage pool\b/], ["disk", /\bdisk\b/],
  ["ports", /\bproxy\b|publish|\bport\b/], ["image", /\bimage\b/], ["profiles", /\bprofile\b/], ["name", /\bname\b|an instance `/],
];

// What an instance has when nobody says otherwise.
const USUAL = ["default"];

export function showCreate(view) {
  const fields = {
    image: field({ name: "image", label: "Image", control: h("select", { required: true }) }),
    name: field({ name: "name", label: "Name", hint: "Letters, digits and dashes. One is made up when this is empty.", control: input({ maxlength: 63 }) }),
    cpus: field({ name: "cpus", label: "CPUs", hint: "Empty for what its profiles say.", control: input({ type: "number", min: 1, max: 64, inputmode: "numeric" }) }),
    memory: field({ name: "memory", label: "Memory", hint: "With a unit, such as 2GiB.", control: input({}) }),
    disk: field({ name: "disk", label: "Disk", hint: "With a unit, such as 20GiB.", control: input({}) }),
    ports: field({ name: "ports", label: "Published ports", hint: "HOST:GUEST, with commas between: 8080:80, 2222:22. They are open on the host's loopback.", control: input({ placeholder: "8080:80" }) }),
  };
  let profiles = [];
  const names = () => fields.profiles?.names ?? USUAL;
  const choices = h("div");
  const start = h("input", { type: "checkbox", checked: true });
  const ephemeral = h("input", { type: "checkbox" });
  const progress = progressBar();
  const section = h("section", { "aria-labelledby": "title" }, h("div", { class: "head" }, h("h1", { id: "title" }, "Create an instance")), form({
    content: [
      fields.image.element, fields.name.element,
      h("div", { class: "three" }, fields.cpus.element, fields.memory.element, fields.disk.element), fields.ports.element, choices,
      h("label", { class: "check" }, start, "Start it at once"),
      h("label", { class: "check" }, ephemeral, "Ephemeral: deleted when it stops"), progress.element,
    ],
    action: "Create", back: "#/instances", submit: create,
    fieldOf: (message) => fields[subjects.find(([name, words]) => fields[name] && words.test(message))?.[0]],
  }));
  view.replaceChildren(section);
  fields.image.control.focus();
  showGiven();
  fillImages();
  fillChoices();

  // What goes for an empty field, in it.
  function showGiven() {
    const { config, devices } = given(profiles, names());
    fields.cpus.control.placeholder = config["limits.cpu"] ?? "1";
    fields.memory.control.placeholder = config["limits.memory"] ?? "1GiB";
    fields.disk.control.placeholder = rootOf(devices)?.[1].size ?? "the image's";
  }

  async function fillImages() {
    try {
      const images = await get("/1.0/images", inProject({ recursion: 1 }));
      fields.image.control.replaceChildren(...images.map((image) =>
        h("option", { value: image.fingerprint }, `${image.aliases[0]?.name ?? image.fingerprint.slice(0, 12)} (${image.properties.architecture ?? image.architecture}, ${bytes(image.size)})`)));
      if (!images.length) fields.image.tell("There is no image yet. On the host: volary image build debian/13");
    } catch (error) { complain(error, "Images"); }
  }

  // Profiles and pools, where there is more than one.
  async function fillChoices() {
    try {
      const [all, places] = await Promise.all(["/1.0/profiles", "/1.0/storage-pools"].map((place) => get(place, inProject({ recursion: 1 }))));
      profiles = all;
      // A server's disks are no instance's own.
      const pools = places.filter((pool) => pool.driver !== "nbd");
      showGiven();
      if (profiles.length > 1) {
        fields.profiles = profileRows({ all: profiles, chosen: USUAL, onChange: showGiven });
        choices.append(fields.profiles.element);
      }
      if (pools.length > 1) {
        fields.pool = field({ name: "pool", label: "Storage pool", hint: "Its disk stays there.", control: poolChoice(pools, "", "As the profiles say") });
        choices.append(fields.pool.element);
      }
    } catch (error) { complain(error, "Profiles and pools"); }
  }

  // Complains beside the fields; true when there is nothing to complain about.
  function check() {
    const { image, name, cpus, memory, disk, ports } = fields;
    const all = checker();
    all.demand(image, image.value, "Choose an image. On the host: volary image build debian/13");
    demandInstanceName(all, name);
    all.demand(cpus, cpus.control.validity.valid && /^([1-9]\d{0,2})?$/.test(cpus.value), "A number, 1 or more, or nothing.");
    all.demand(memory, !memory.value || SIZE.test(memory.value), "A size with its unit, such as 1GiB, or nothing.");
    all.demand(disk, !disk.value || SIZE.test(disk.value), "A size with its unit, such as 20GiB, or nothing.");
    all.demand(ports, portTexts(ports.value).every(isPort), "Pairs such as 8080:80, with commas between.");
    return all.isRight;
  }

  // A root disk of its own where something is said of it, otherwise as the profiles have it.
  function rootDevice(devices) {
    const [size, pool] = [fields.disk.value, fields.pool?.value];
    if (!size && !pool) return {};
    const [name, device] = rootOf(devices) ?? usualRoot();
    return { [name]: { ...device, ...(pool ? { pool } : {}), ...(size ? { size } : {}) } };
  }

  function request() {
    const { devices } = given(profiles, names());
    const config = Object.entries({ "limits.cpu": fields.cpus.value, "limits.memory": fields.memory.value }).filter(([, value]) => value);
    return {
      name: fields.name.value || undefined, source: { type: "image", fingerprint: fields.image.value },
      config: Object.fromEntries(config), profiles: fields.profiles?.names,
      devices: { ...rootDevice(devices), ...portDevices(fields.ports.value, {}, new Set(Object.keys(devices))) },
      ephemeral: ephemeral.checked, start: start.checked,
    };
  }

  async function create() {
    if (!check()) return;
    try {
      const operation = await post("/1.0/instances", request(), inProject());
      await follow(operation, progress);
      const name = nameIn(operation.resources.instances[0]);
      say(`${name} is made.`);
      if (section.isConnected) location.hash = linkTo("instances", name);
    } finally { progress.hide(); }
  }
}
