// How far something is that takes its time: a bar with words.

import { h, setText } from "./dom.js";
import { bytes } from "./format.js";

export function progressBar() {
  const bar = h("progress", { max: 1, "aria-label": "Progress" });
  const words = h("p", { class: "quiet", role: "status" });
  const element = h("div", { class: "progress", hidden: true }, bar, words);

  // Without a total nobody knows how much there is.
  function show(text, done, total) {
    element.hidden = false;
    if (total) bar.value = done / total;
    else bar.removeAttribute("value");
    setText(words, text);
  }

  return {
    element, show,
    hide: () => { element.hidden = true; },
    // An operation.
    follow(operation) {
      const { progress } = operation.metadata ?? {};
      show(progressWords(operation), progress?.done, progress?.total);
    },
    // Bytes on their way.
    move: (text, done, total) => show(`${text}: ${bytes(done)}${total ? ` of ${bytes(total)}` : ""}`, done, total),
  };
}

// What an operation is at, with percent where it says how much there is.
export function progressWords(operation) {
  const { progress } = operation.metadata ?? {};
  const phase = progress?.phase ?? operation.description;
  return progress?.total ? `${phase} (${Math.floor(100 * progress.done / progress.total)} %)` : phase;
}
