// Changes what an instance or a profile is. It is saved over what was read and nothing else: who changed it meanwhile
// is not undone.

import { finish, get, getTagged, inProject, path, put } from "./api.js";
import { h } from "./dom.js";
import { form } from "./form.js";
import { icon } from "./icons.js";
import { linkTo } from "./links.js";
import { complain, say } from "./notices.js";
import { settings } from "./settings.js";

const CHANGED = 412;

const isSet = ([key]) => !/^(volatile|image)\./.test(key);

// What a change is about, of all that is shown: states come and go by themselves.
function substance({ description, config, devices, profiles, ephemeral }) {
  return { description, ...Object.fromEntries(Object.entries(config).filter(isSet)), devices, profiles, ephemeral };
}

function difference(one, other) {
  const [before, after] = [substance(one), substance(other)];
  return [...new Set([...Object.keys(before), ...Object.keys(after)])].filter((key) => JSON.stringify(before[key]) !== JSON.stringify(after[key]));
}

// Somebody else has changed it: which parts.
class Overtaken extends Error {
  constructor(parts) {
    super("it was changed meanwhile");
    this.parts = parts;
  }
}

async function saveOver(place, before, tag, body) {
  try { return await put(place, body, inProject(), tag); } catch (error) {
    if (error.status !== CHANGED) throw error;
    throw new Overtaken(difference(before, await get(place, inProject())));
  }
}

const others = (what, place) => get(place, inProject({ recursion: 1 })).catch((error) => {
  complain(error, what);
  return [];
});

const kinds = {
  instances: {
    parts: async () => ({ profiles: await others("Profiles", "/1.0/profiles") }),
    save: async (...change) => finish(await saveOver(...change)),
  },
  profiles: { parts: async () => ({ pools: await others("Storage", "/1.0/storage-pools") }), save: saveOver },
};

// `section` is `instances` or `profiles`.
export function showEdit(view, section, name) {
  const kind = kinds[section];
  const place = path(section, name);
  const back = linkTo(section, name);
  const body = h("div", {}, h("p", { class: "quiet" }, "Loading…"));
  const element = h("section", { "aria-labelledby": "title" },
    h("div", { class: "head" },
      h("a", { class: "button plain", href: back, "aria-label": `Back to ${name}` }, icon("back")),
      h("h1", { id: "title" }, `Edit ${name}`)), body);
  view.replaceChildren(element);
  load();

  async function load() {
    try {
      const [{ value, tag }, parts] = await Promise.all([getTagged(place, inProject()), kind.parts()]);
      if (element.isConnected) show(value, tag, parts);
    } catch (error) {
      const again = h("button", { type: "button", onclick: load }, "Try again");
      const hadFocus = body.contains(document.activeElement);
      body.replaceChildren(h("div", { class: "empty" }, h("p", {}, error.text ?? String(error)), again, " ", h("a", { class: "button", href: `#/${section}` }, "To the list")));
      if (hadFocus) again.focus();
    }
  }

  function show(value, tag, parts) {
    const fields = settings({ value, ...parts });
    const conflict = h("div");
    body.replaceChildren(form({
      content: [...fields.elements, conflict], action: "Save", back, fieldOf: fields.fieldOf,
      submit: async () => {
        conflict.replaceChildren();
        if (!fields.check()) return;
        try { await kind.save(place, value, tag, fields.result()); } catch (error) {
          if (!(error instanceof Overtaken)) throw error;
          return showConflict(conflict, error.parts);
        }
        say(`${name} is saved.`);
        if (element.isConnected) location.hash = back;
      },
    }));
    fields.first.focus();
  }

  function showConflict(holder, parts) {
    const again = h("button", { type: "button", onclick: load }, "Read it anew");
    holder.replaceChildren(h("div", { class: "notice warn", role: "alert" },
      h("p", {}, `${name} was changed by somebody else meanwhile${parts.length ? ` (${parts.join(", ")})` : ""}. Nothing is saved. When it is read anew, what was typed here is gone.`), again));
    again.focus();
  }
}
