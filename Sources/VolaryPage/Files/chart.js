// Small line charts in SVG: the last minutes, newest at the right.

import { h, s, setText } from "./dom.js";

const WIDTH = 300;
const HEIGHT = 80;
const POINTS = 90;

// The line through values; an area when it is closed to the ground.
function line(values, top, { width = WIDTH, height = HEIGHT, points = POINTS, isArea = false } = {}) {
  if (values.length < 2) return "";
  const first = width - (values.length - 1) * width / (points - 1);
  const places = values.map((value, at) => {
    const x = first + at * width / (points - 1);
    const y = height - 1 - Math.min(1, value / top) * (height - 3);
    return `${x.toFixed(1)} ${y.toFixed(1)}`;
  });
  const path = `M${places.join("L")}`;
  return isArea ? `${path}L${width} ${height}L${first.toFixed(1)} ${height}Z` : path;
}

// A height that is round and a little above the largest value.
function roundTop(values, least) {
  let top = least;
  const largest = Math.max(0, ...values);
  while (top < largest) top *= 2;
  return top;
}

// A chart of one or two series. `show` makes text of a value; with `top` the height is fixed.
export function chart({ title, series, show, top, least = 1024 }) {
  const areas = series.map((_, at) => s("path", { class: `area series-${at}` }));
  const lines = series.map((_, at) => s("path", { class: `line series-${at}` }));
  const svg = s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": title },
    ...[0.25, 0.5, 0.75].map((part) => s("path", { class: "grid", d: `M0 ${HEIGHT * part}H${WIDTH}` })), ...areas, ...lines);
  const values = series.map((name, at) => h("span", { class: `value series-${at}` },
    series.length > 1 ? h("span", { class: "quiet" }, `${name} `) : null, h("b", {}, "–")));
  const scale = h("span", { class: "scale quiet" });
  const element = h("figure", { class: "chart" },
    h("figcaption", {}, h("span", { class: "chart-title" }, title), scale, h("span", { class: "values" }, ...values)), svg);
  return {
    element,
    set(lists, limit = top) {
      const highest = limit ?? roundTop(lists.flat(), least);
      lists.forEach((list, at) => {
        areas[at].setAttribute("d", line(list, highest, { isArea: true }));
        lines[at].setAttribute("d", line(list, highest));
        setText(values[at].querySelector("b"), list.length ? show(list[list.length - 1]) : "–");
      });
      setText(scale, show(highest));
      const words = lists.map((list, at) => `${series[at]} ${list.length ? show(list[list.length - 1]) : "not known"}`);
      svg.setAttribute("aria-label", `${title}: ${words.join(", ")}`);
      element.dataset.points = lists[0].length;
    },
  };
}

// A line without words, for a row of a list.
export function sparkline() {
  const size = { width: 64, height: 20, points: 30 };
  const path = s("path", { class: "line series-0" });
  const element = s("svg", { class: "spark", viewBox: `0 0 ${size.width} ${size.height}`, "aria-hidden": "true" }, path);
  return { element, set: (values) => path.setAttribute("d", line(values.slice(-size.points), 100, size)) };
}

// The part of a gauge from which on it is nearly full, and full.
const [NEARLY, FULL] = [80, 95];

// How much of something is taken, as a bar.
export function gauge(title) {
  const bar = s("rect", { height: 8 });
  const element = s("svg", {
    class: "gauge", viewBox: "0 0 100 8", preserveAspectRatio: "none", role: "meter", "aria-label": title, "aria-valuemin": 0, "aria-valuemax": 100,
  }, bar);
  return {
    element,
    set(part, words) {
      const value = Math.round(100 * part);
      bar.setAttribute("width", Math.min(100, value));
      element.setAttribute("aria-valuenow", value);
      element.setAttribute("aria-valuetext", words);
      element.dataset.level = value >= FULL ? "full" : value >= NEARLY ? "nearly" : "low";
    },
  };
}
