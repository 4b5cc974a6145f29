// A few line drawings of 20 by 20.

import { s } from "./dom.js";

const shapes = {
  play: "M6 4l10 6-10 6z", stop: "M5 5h10v10H5z", pause: "M6 4v12M14 4v12",
  restart: "M15.500 7A6.500 6.500 0 1 0 16.500 11M16 3v4h-4", trash: "M4 6h12M8 6V4h4v2M6 6l.7 10.500h6.600L14 6",
  power: "M10 3v7M6 5.500a6 6 0 1 0 8 0",
  plus: "M10 4v12M4 10h12", close: "M5 5l10 10M15 5L5 15", back: "M12 4l-6 6 6 6", key: "M7 13a3 3 0 1 1 2.800-4H17v3M14 9v2.500",
  help: "M7.500 7.500a2.500 2.500 0 1 1 3.500 2.300c-.7.3-1 .8-1 1.700M10 14.500v.1",
  instances: "M3 5h14v10H3zM3 10h14M6 7.500h.1M6 12.500h.1", images: "M10 3l7 3.500-7 3.500-7-3.500zM3 10l7 3.500 7-3.500M3 13.500L10 17l7-3.500",
  operations: "M4 10a6 6 0 0 1 11-3.300M16 10a6 6 0 0 1-11 3.300M15.500 3v4h-4M4.500 17v-4h4",
  events: "M2.500 10h4l2-6 3.500 12 2-6h3.500", terminal: "M3 4h14v12H3zM6 8l2.500 2L6 12M10.500 12.500H14",
  system: "M3 4h14v9H3zM7 16.500h6M10 13v3.500", light: "M10 6.500a3.500 3.500 0 1 0 0 7 3.500 3.500 0 0 0 0-7M10 2v2M10 16v2M2 10h2M16 10h2M4.400 4.400l1.400 1.400M14.200 14.200l1.400 1.400M15.600 4.400l-1.400 1.400M5.800 14.200l-1.400 1.400",
  dark: "M16 11.500A6.500 6.500 0 1 1 8.500 4a5 5 0 0 0 7.500 7.500z", leave: "M8 4H4v12h4M8 10h9M13.500 6.500L17 10l-3.500 3.500",
};

export function icon(name) {
  return s("svg", { viewBox: "0 0 20 20", class: "icon", "aria-hidden": "true", focusable: "false" },
    s("path", { d: shapes[name] ?? "" }));
}
