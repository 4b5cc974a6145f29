// Gives a volume, a snapshot or a backup another name.

import { finish, inProject, post } from "./api.js";
import { ask } from "./ask.js";
import { demandName, nameField } from "./form.js";
import { say } from "./notices.js";

// `onDone` gets the new name. True when it was done.
export function askRename(name, place, onDone) {
  const called = nameField();
  called.control.value = name;
  return ask({
    title: `Rename ${name}`, action: "Rename", fields: [called], demand: (all) => demandName(all, called), fieldOf: () => called,
    submit: async () => {
      const operation = await post(place, { name: called.value }, inProject());
      if (operation?.id) await finish(operation);
      say(`${name} is called ${called.value} now.`);
      await onDone(called.value);
    },
  });
}
