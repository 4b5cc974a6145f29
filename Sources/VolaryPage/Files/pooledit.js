// Changes what is said of a pool. Where it is, it stays.

import { getTagged, inProject, path, put } from "./api.js";
import { ask } from "./ask.js";
import { field, input, lines } from "./form.js";
import { attempt, say } from "./notices.js";

const PROJECTS = "volary.projects";

export const projectsField = (value = "") => field({
  name: "projects", label: "Projects", hint: "Whose instances may have its disks, with commas between. Empty for the project default alone.", control: input({ value }),
});

// It is saved over what was read and nothing else. True when it was done.
export async function askPoolEdit(name) {
  const place = path("storage-pools", name);
  const read = await attempt(name, () => getTagged(place, inProject()));
  if (!read) return false;
  const { value: pool, tag } = read;
  const isServer = pool.driver === "nbd";
  const description = field({ name: "description", label: "Description", control: lines({ value: pool.description }) });
  const projects = projectsField(pool.config[PROJECTS]);
  return await ask({
    title: `Edit ${name}`, action: "Save", fields: isServer ? [description, projects] : [description],
    submit: async () => {
      const { [PROJECTS]: _, ...config } = pool.config;
      if (isServer && projects.value) config[PROJECTS] = projects.value;
      await put(place, { description: description.value, config }, inProject(), tag);
      say(`${name} is saved.`);
    },
  });
}
