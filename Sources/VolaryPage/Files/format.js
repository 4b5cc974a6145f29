// Numbers and times as people read them.

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

export function bytes(count) {
  let value = Math.max(0, count);
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) { value /= 1024; unit++; }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

export const rate = (perSecond) => `${bytes(perSecond)}/s`;
export const percent = (part) => `${part >= 9.95 ? Math.round(part) : part.toFixed(1)} %`;

// The daemon's word for no time is a year before all others.
export const isTime = (text) => Boolean(text) && !text.startsWith("0001-");

export function time(text) {
  if (!isTime(text)) return "never";
  return new Date(text).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
}

export function clock(text) { return new Date(text).toLocaleTimeString(undefined, { hour12: false }); }

// How long ago, in the largest unit that fits.
export function age(text) {
  if (!isTime(text)) return "never";
  const seconds = Math.max(0, (Date.now() - new Date(text)) / 1000);
  for (const [unit, size] of [["d", 86_400], ["h", 3600], ["min", 60]]) {
    if (seconds >= size) return `${Math.floor(seconds / size)} ${unit}`;
  }
  return `${Math.floor(seconds)} s`;
}

// The last part of a path of the API, as a name.
export function nameIn(place) { return decodeURIComponent((place ?? "").split("?")[0].split("/").pop()); }
