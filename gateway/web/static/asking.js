// Asks for what an act needs, in a dialog. A scanner that types into the page ends a field with Enter, which goes on to
// the next field, and sends after the last.

import { el } from "./dom.js";
import { t } from "./texts.js";

let last = 0;

/** Ask for these fields: [{name, label, choices?, suggest?, optional?, kind?, maxlength?}]; the values by name, or null. */
export function ask(title, fields) {
  return new Promise((answered) => {
    const inputs = fields.map(input);
    const form = el("form", { method: "dialog" },
      el("h2", {}, title),
      fields.map((field, index) => el("p", {}, el("label", { for: inputs[index].id }, field.label), inputs[index], suggestions(field, inputs[index]))),
      el("p", { class: "buttons" },
        el("button", { value: "yes" }, t("act.do")),
        el("button", { type: "button", class: "cancel" }, t("act.cancel"))));
    const dialog = el("dialog", { "aria-label": title }, form);
    form.addEventListener("keydown", (event) => {
      const index = inputs.indexOf(event.target);
      if (event.key === "Enter" && index >= 0 && index < inputs.length - 1) {
        event.preventDefault();
        inputs[index + 1].focus();
      }
    });
    form.querySelector(".cancel").addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => {
      const values = Object.fromEntries(fields.map((field, index) => [field.name, inputs[index].value.trim()]));
      dialog.remove();
      answered(dialog.returnValue === "yes" ? values : null);
    });
    document.body.append(dialog);
    dialog.showModal();
    inputs[0]?.focus();
  });
}

/** Buttons that fill the field, so that nobody has to type; the one that did is pressed. They may come later than the
 *  dialog, which takes a scan at once. */
function suggestions({ suggest = [] }, input) {
  const place = el("span", { class: "buttons suggested" });
  const made = [];
  const mark = () => made.forEach((each) => each.setAttribute("aria-pressed", String(each.value === input.value)));
  input.addEventListener("input", mark);
  Promise.resolve(suggest).then((found) => {
    for (const [value, text] of found) {
      const each = el("button", { type: "button", value }, text);
      each.addEventListener("click", () => {
        input.value = value;
        mark();
      });
      made.push(each);
    }
    mark();
    place.replaceChildren(...made);
  });
  return place;
}

function input(field) {
  const id = `asked-${++last}`;
  const required = !field.optional;
  if (field.choices) {
    return el("select", { id, required }, field.choices.map(([value, text]) => el("option", { value }, text)));
  }
  return el("input", { id, required, type: field.kind ?? "text", maxlength: field.maxlength ?? 64, autocomplete: "off", autocapitalize: "none", value: field.value ?? "" });
}
