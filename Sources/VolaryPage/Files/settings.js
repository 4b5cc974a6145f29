// The part of a form that says what an instance or a profile is: description, what it has, its keys and devices.

import { checker, field, input, lines, SIZE } from "./form.js";
import { h } from "./dom.js";
import { deviceText, given, isPort, isProxy, parseDevice, portDevices, portText, portTexts, rootOf, usualRoot } from "./devices.js";
import { pairs, profileRows } from "./rows.js";

// Those that have a field of their own.
const CPUS = "limits.cpu";
const MEMORY = "limits.memory";
const AUTOSTART = "boot.autostart";
const own = [CPUS, MEMORY, AUTOSTART];
// The daemon's; they stay as they are.
const isKept = (key) => /^(volatile|image)\./.test(key);
const known = [
  "limits.cpu.allowance", "limits.cpu.priority", "limits.disk.priority", "boot.autostart.priority", "boot.autostart.delay",
  "boot.host_shutdown_timeout", "boot.stop.priority", "cloud-init.user-data", "cloud-init.vendor-data",
  "cloud-init.network-config", "cloud-init.ssh-keys.", "volary.engine", "volary.append", "user.",
];

// Which field an error of the daemon is about, by the words that it names things with.
const subjects = [
  ["memory", /limits\.memory|\bmemory\b/], ["cpus", /limits\.cpu\b(?!\.)|\bCPUs\b/], ["pool", /\bstorage pool\b/], ["disk", /\bdisk\b/],
  ["autostart", /boot\.autostart\b(?!\.)/], ["ports", /\bproxy\b|publish|\bports?\b/], ["profiles", /\bprofile\b/],
];

const flag = (value) => value === undefined || value === "" ? "" : ["true", "1", "yes", "on"].includes(value) ? "true" : "false";
const flagWords = { "": "As it was when the host went down", true: "Yes", false: "No" };

const UNSAID = "Nothing is said of that";

// `profiles` are all that there are, for an instance; a profile has none, but may say in which of `pools` disks are.
export function settings({ value, profiles, pools = [] }) {
  const isProfile = !profiles;
  const { config, devices } = value;
  const [rootName, root] = rootOf(devices) ?? [undefined, {}];
  const ports = Object.fromEntries(Object.entries(devices).filter(([, device]) => isProxy(device)));
  const others = Object.entries(devices).filter(([name]) => name !== rootName && !ports[name]);
  const empty = isProfile ? "Empty when it says nothing of that." : "Empty for what its profiles say.";
  const autostart = h("select", {}, ...Object.keys(flagWords).map((key) => h("option", { value: key }, flagWords[key])));
  const fields = {
    description: field({ name: "description", label: "Description", control: lines({ value: value.description }) }),
    cpus: field({ name: "cpus", label: "CPUs", hint: empty, control: input({ inputmode: "numeric", value: config[CPUS] ?? "" }) }),
    memory: field({ name: "memory", label: "Memory", hint: "With a unit, such as 2GiB.", control: input({ value: config[MEMORY] ?? "" }) }),
    disk: field({ name: "disk", label: "Disk", hint: "It can grow, never shrink.", control: input({ value: root.size ?? "" }) }),
    autostart: field({ name: "autostart", label: "Start it with the host", control: autostart }),
    ports: field({ name: "ports", label: "Published ports", hint: "HOST:GUEST, with commas between: 8080:80, 0.0.0.0:5353:53/udp.", control: input({ value: Object.values(ports).map(portText).join(", "), placeholder: "8080:80" }) }),
  };
  autostart.value = flag(config[AUTOSTART]);
  // Only where there is a choice.
  if (isProfile && pools.length > 1) fields.pool = field({ name: "pool", label: "Storage pool", hint: "Where the disks of new instances are.", control: poolChoice(pools, root.pool ?? "") });
  const keys = pairs({
    name: "config", words: { legend: "Other keys", key: "Key", value: "Value", add: "Add a key" }, known,
    hint: "Keys of your own begin with user. Shift+Enter begins another line of a value.",
    entries: Object.entries(config).filter(([key]) => !own.includes(key) && !isKept(key)).sort(([a], [b]) => a.localeCompare(b)),
  });
  const cards = pairs({
    name: "devices", words: { legend: "Other devices", key: "Device", value: "What it is", add: "Add a device" },
    hint: "Such as eth0 with type=nic, network=nat. The type none takes away what a profile gives.",
    entries: others.map(([name, device]) => [name, deviceText(device)]).sort(([a], [b]) => a.localeCompare(b)),
  });
  if (!isProfile) fields.profiles = profileRows({ all: profiles, chosen: value.profiles, onChange: () => showGiven() });
  const ephemeral = h("input", { type: "checkbox", name: "ephemeral", checked: value.ephemeral });
  showGiven();

  // What goes for an empty field, in it.
  function showGiven() {
    const from = isProfile ? { config: {}, devices: {} } : given(profiles, fields.profiles?.names ?? value.profiles);
    fields.cpus.control.placeholder = isProfile ? "" : from.config[CPUS] ?? "1";
    fields.memory.control.placeholder = isProfile ? "" : from.config[MEMORY] ?? "1GiB";
    fields.disk.control.placeholder = isProfile ? "" : rootOf(from.devices)?.[1].size ?? "the image's";
    const start = flag(from.config[AUTOSTART]);
    autostart.options[0].textContent = isProfile ? UNSAID : start ? `As its profiles say: ${flagWords[start].toLowerCase()}` : flagWords[""];
    const published = Object.values(from.devices).filter(isProxy).map(portText);
    if (published.length) fields.ports.hint(`HOST:GUEST, with commas between. By its profiles there are ${published.join(", ")} too.`);
  }

  // Complains beside the fields; true when there is nothing to complain about.
  function check() {
    const all = checker();
    const { cpus, memory, disk, ports: published } = fields;
    all.demand(cpus, /^([1-9]\d{0,2})?$/.test(cpus.value), "A number, 1 or more, or nothing.");
    all.demand(memory, !memory.value || SIZE.test(memory.value), "A size with its unit, such as 1GiB, or nothing.");
    all.demand(disk, !disk.value || SIZE.test(disk.value), "A size with its unit, such as 20GiB, or nothing.");
    all.demand(published, portTexts(published.value).every(isPort), "Pairs such as 8080:80, with commas between.");
    for (const [rows, problem] of [[keys.rows, keyProblem], [cards.rows, cardProblem]]) {
      for (const row of rows) {
        const text = !row.key ? "It needs a name." : rows.find((other) => other.key === row.key) !== row ? `${row.key} is there twice.` : problem(row);
        all.demand(row, !text, text);
      }
    }
    return all.isRight;
  }

  const keyProblem = (row) => own.includes(row.key) ? `${row.key} has a field of its own above.` : isKept(row.key) ? `${row.key} is the daemon's.`
    : row.value ? "" : "It needs a value; without one, take it away.";
  const cardProblem = (row) => row.key === rootName || ports[row.key] ? `${row.key} is what stands above.`
    : deviceOf(row) ? "" : "Pairs such as type=nic, network=nat, with commas between.";

  const deviceOf = (row) => row.isOriginal && devices[row.key] ? devices[row.key] : parseDevice(row.value);

  function rootDevice() {
    const size = fields.disk.value;
    const pool = fields.pool?.value;
    const [name, base] = rootName ? [rootName, root] : rootOf(isProfile ? {} : given(profiles, fields.profiles.names).devices) ?? usualRoot();
    const { size: _, ...rest } = base;
    if (!rootName && !size && !pool) return {};
    return { [name]: { ...rest, ...(pool ? { pool } : {}), ...(size ? { size } : {}) } };
  }

  function result() {
    const kept = Object.entries(config).filter(([key]) => isKept(key));
    const said = [[CPUS, fields.cpus.value], [MEMORY, fields.memory.value],
      [AUTOSTART, flag(config[AUTOSTART]) === autostart.value ? config[AUTOSTART] : autostart.value]].filter(([, text]) => text);
    const named = Object.fromEntries(cards.rows.map((row) => [row.key, deviceOf(row)]));
    const taken = new Set([...Object.keys(named), ...(isProfile ? [] : Object.keys(given(profiles, fields.profiles.names).devices))]);
    return {
      description: fields.description.control.value,
      config: Object.fromEntries([...kept, ...said, ...keys.rows.map((row) => [row.key, row.value])]),
      devices: { ...named, ...rootDevice(), ...portDevices(fields.ports.value, ports, taken) },
      ...(isProfile ? {} : { profiles: fields.profiles.names, ephemeral: ephemeral.checked }),
    };
  }

  // By what the daemon's words name: a row, one of the fields, or a row with such a value.
  function fieldOf(message) {
    const named = [...message.matchAll(/`([^`]+)`/g)].map((match) => match[1]);
    const rows = [...keys.rows, ...cards.rows];
    const subject = subjects.find(([name, words]) => fields[name] && words.test(message))?.[0];
    return rows.find((row) => named.includes(row.key)) ?? fields[subject] ?? rows.find((row) => named.some((word) => row.value.includes(word)));
  }

  return {
    first: fields.description.control, result, fieldOf, check,
    elements: [
      fields.description.element, h("div", { class: "three" }, fields.cpus.element, fields.memory.element, fields.disk.element),
      fields.pool?.element ?? null, fields.ports.element, fields.autostart.element,
      isProfile ? null : h("label", { class: "check" }, ephemeral, "Ephemeral: deleted when it stops"),
      fields.profiles?.element ?? null, keys.element, cards.element,
    ].filter(Boolean),
  };
}

export function poolChoice(pools, chosen, none = UNSAID) {
  const control = h("select", {}, h("option", { value: "" }, none), ...pools.map(({ name }) => h("option", { value: name }, name)));
  control.value = chosen;
  return control;
}
