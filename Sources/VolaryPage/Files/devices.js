// Devices of instances and profiles: as text, from text, and what profiles give.

const PORT = /^((\d{1,3}\.){3}\d{1,3}:)?(\d{1,5}):(\d{1,5})(\/(tcp|udp))?$/;
const LOOPBACK = "127.0.0.1";

// `key=value, key=value`
export function deviceText(device) {
  const { type, ...rest } = device;
  const pairs = Object.entries(rest).map(([key, value]) => `${key}=${value}`).sort();
  return [...(type ? [`type=${type}`] : []), ...pairs].join(", ");
}

// Undefined when the text is no device.
export function parseDevice(text) {
  const device = {};
  for (const part of text.split(/[,\n]/).map((word) => word.trim()).filter(Boolean)) {
    const at = part.indexOf("=");
    if (at < 1) return undefined;
    device[part.slice(0, at).trim()] = part.slice(at + 1).trim();
  }
  return device.type ? device : undefined;
}

export const isProxy = (device) => device.type === "proxy";
const isRoot = (device) => device.type === "disk" && device.path === "/";

// The root disk with its name, if it is among them.
export const rootOf = (devices) => Object.entries(devices).find(([, device]) => isRoot(device));
export const usualRoot = () => ["root", { type: "disk", path: "/", pool: "default" }];

// `8080:80` for a published port, with what is not as usual.
export function portText(device) {
  const [transport, address, host] = (device.listen ?? "").split(":");
  const guest = device.connect?.split(":").pop();
  return `${address === LOOPBACK ? "" : `${address}:`}${host}:${guest}${transport === "tcp" ? "" : `/${transport}`}`;
}

export const portTexts = (text) => text.split(/[\s,]+/).filter(Boolean);
export const isPort = (text) => PORT.test(text);

export function portDevice(text) {
  const [, address, , host, guest, , transport = "tcp"] = PORT.exec(text);
  return { type: "proxy", listen: `${transport}:${address ? address.slice(0, -1) : LOOPBACK}:${host}`, connect: `${transport}:${LOOPBACK}:${guest}` };
}

// The published ports of a text as devices: those that there were keep their names.
export function portDevices(text, before, taken) {
  const left = Object.entries(before);
  const devices = {};
  const added = portTexts(text).filter((one) => {
    const at = left.findIndex(([, device]) => portText(device) === one);
    if (at < 0) return true;
    const [[name, device]] = left.splice(at, 1);
    devices[name] = device;
    return false;
  });
  let number = 0;
  for (const one of added) {
    while (taken.has(`publish${number}`) || devices[`publish${number}`]) number++;
    devices[`publish${number}`] = portDevice(one);
  }
  return devices;
}

// What profiles of these names give together, the later over the earlier.
export function given(profiles, names) {
  const chosen = names.map((name) => profiles.find((profile) => profile.name === name)).filter(Boolean);
  const devices = Object.assign({}, ...chosen.map((profile) => profile.devices));
  return {
    config: Object.assign({}, ...chosen.map((profile) => profile.config)),
    devices: Object.fromEntries(Object.entries(devices).filter(([, device]) => device.type !== "none")),
  };
}
