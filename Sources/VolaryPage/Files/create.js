// The form for a new instance. What is wrong stands beside its field; what the daemon says of a field too.

import { finish, get, inProject, post } from "./api.js";
import { h, identifier, setText } from "./dom.js";
import { bytes, nameIn } from "./format.js";
import { linkTo } from "./instances.js";
import { complain, say } from "./notices.js";

const SIZE = /^\d+(\.\d+)?\s*([KMGT]i?B?|B)?$/i;
const PORT = /^((\d{1,3}\.){3}\d{1,3}:)?(\d{1,5}):(\d{1,5})(\/(tcp|udp))?$/;

// A field with its label, hint and the place for what is wrong with it.
function field({ name, label, hint = "", control }) {
  const [id, hintId, errorId] = [identifier(name), identifier("hint"), identifier("error")];
  control.id = id;
  control.name = name;
  control.setAttribute("aria-describedby", `${hintId} ${errorId}`);
  const error = h("p", { class: "field-error", id: errorId, role: "alert" });
  const element = h("div", { class: "field", "data-field": name }, h("label", { for: id }, label), control,
    h("p", { class: "hint", id: hintId }, hint), error);
  const tell = (text) => {
    setText(error, text);
    if (text) control.setAttribute("aria-invalid", "true");
    else control.removeAttribute("aria-invalid");
  };
  control.addEventListener("input", () => tell(""));
  return { element, control, tell, get value() { return control.value.trim(); } };
}

const input = (attributes) => h("input", { type: "text", autocomplete: "off", spellcheck: "false", autocapitalize: "none", ...attributes });

// Which field an error of the daemon is about, by the words that it names things with.
const subjects = [
  ["memory", /limits\.memory|\bmemory\b/], ["cpus", /limits\.cpu|\bCPUs?\b/], ["disk", /\bdisk\b/],
  ["ports", /\bproxy\b|publish|\bport\b/], ["image", /\bimage\b/], ["name", /\bname\b|an instance `/],
];

function device(text) {
  const [, address, , host, guest, , transport = "tcp"] = PORT.exec(text);
  return { type: "proxy", listen: `${transport}:${address ? address.slice(0, -1) : "127.0.0.1"}:${host}`, connect: `${transport}:127.0.0.1:${guest}` };
}

export function showCreate(view) {
  const fields = {
    image: field({ name: "image", label: "Image", control: h("select", { required: true }) }),
    name: field({ name: "name", label: "Name", hint: "Letters, digits and dashes. One is made up when this is empty.", control: input({ maxlength: 63 }) }),
    cpus: field({ name: "cpus", label: "CPUs", control: input({ type: "number", min: 1, max: 64, value: "1", inputmode: "numeric" }) }),
    memory: field({ name: "memory", label: "Memory", hint: "With a unit, such as 512MiB or 2GiB.", control: input({ value: "1GiB" }) }),
    disk: field({ name: "disk", label: "Disk", hint: "Empty for as large as the image's.", control: input({ placeholder: "20GiB" }) }),
    ports: field({ name: "ports", label: "Published ports", hint: "HOST:GUEST, with commas between: 8080:80, 2222:22. They are open on the host's loopback.", control: input({ placeholder: "8080:80" }) }),
  };
  const start = h("input", { type: "checkbox", checked: true });
  const ephemeral = h("input", { type: "checkbox" });
  const problem = h("p", { class: "field-error", role: "alert" });
  const submit = h("button", { class: "main", type: "submit" }, "Create");
  const bar = h("progress", { max: 1, "aria-label": "Progress" });
  const phase = h("p", { class: "quiet", role: "status" });
  const progress = h("div", { class: "progress", hidden: true }, bar, phase);
  const form = h("form", { class: "card form", novalidate: true, onsubmit: (event) => { event.preventDefault(); create(); } },
    fields.image.element, fields.name.element,
    h("div", { class: "three" }, fields.cpus.element, fields.memory.element, fields.disk.element), fields.ports.element,
    h("label", { class: "check" }, start, "Start it at once"),
    h("label", { class: "check" }, ephemeral, "Ephemeral: deleted when it stops"),
    problem, progress,
    h("div", { class: "buttons" }, submit, h("a", { class: "button", href: "#/instances" }, "Cancel")));
  const section = h("section", { "aria-labelledby": "title" }, h("div", { class: "head" }, h("h1", { id: "title" }, "Create an instance")), form);
  view.replaceChildren(section);
  fields.image.control.focus();
  fillImages();

  async function fillImages() {
    try {
      const images = await get("/1.0/images", inProject({ recursion: 1 }));
      fields.image.control.replaceChildren(...images.map((image) =>
        h("option", { value: image.fingerprint }, `${image.aliases[0]?.name ?? image.fingerprint.slice(0, 12)} (${image.properties.architecture ?? image.architecture}, ${bytes(image.size)})`)));
      if (!images.length) fields.image.tell("There is no image yet. On the host: volary image build debian/13");
    } catch (error) { complain(error, "Images"); }
  }

  // Complains beside the fields; true when there is nothing to complain about.
  function check() {
    const wrong = [];
    const demand = (one, isRight, text) => { one.tell(isRight ? "" : text); if (!isRight) wrong.push(one); };
    const { image, name, cpus, memory, disk, ports } = fields;
    demand(image, image.value, "Choose an image. On the host: volary image build debian/13");
    demand(name, /^([A-Za-z]([A-Za-z0-9-]*[A-Za-z0-9])?)?$/.test(name.value), "A name begins with a letter and has letters, digits and dashes.");
    demand(cpus, /^[1-9]\d{0,2}$/.test(cpus.value), "A number, 1 or more.");
    demand(memory, SIZE.test(memory.value), "A size with its unit, such as 1GiB.");
    demand(disk, !disk.value || SIZE.test(disk.value), "A size with its unit, such as 20GiB, or nothing.");
    demand(ports, portTexts().every((text) => PORT.test(text)), "Pairs such as 8080:80, with commas between.");
    wrong[0]?.control.focus();
    return wrong.length === 0;
  }

  const portTexts = () => fields.ports.value.split(/[\s,]+/).filter(Boolean);

  function request() {
    const devices = {};
    if (fields.disk.value) devices.root = { type: "disk", path: "/", pool: "default", size: fields.disk.value };
    portTexts().forEach((text, at) => { devices[`publish${at}`] = device(text); });
    return {
      name: fields.name.value || undefined, source: { type: "image", fingerprint: fields.image.value },
      config: { "limits.cpu": fields.cpus.value, "limits.memory": fields.memory.value }, devices,
      ephemeral: ephemeral.checked, start: start.checked,
    };
  }

  async function create() {
    setText(problem, "");
    if (!check()) return;
    submit.disabled = true;
    try {
      const operation = await post("/1.0/instances", request(), inProject());
      progress.hidden = false;
      await finish(operation, (current) => {
        const { progress: done } = current.metadata ?? {};
        if (done?.total) bar.value = done.done / done.total;
        else bar.removeAttribute("value");
        setText(phase, done?.phase ?? current.description);
      });
      const name = nameIn(operation.resources.instances[0]);
      say(`${name} is made.`);
      if (section.isConnected) location.hash = linkTo(name);
    } catch (error) { tell(error); } finally {
      submit.disabled = false;
      progress.hidden = true;
    }
  }

  function tell(error) {
    const text = error.text ?? String(error);
    const subject = subjects.find(([, words]) => words.test(error.message))?.[0];
    if (!subject) return setText(problem, text);
    fields[subject].tell(text);
    fields[subject].control.focus();
  }
}
