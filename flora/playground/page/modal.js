// A modal that the bot opened, as an HTML dialog.

import { element, markup } from "./markup.js";

// Opens the dialog; `submit(values)` gets the values by custom id.
export function openModal(modal, context, submit) {
  const dialog = document.getElementById("modal");
  const form = document.getElementById("modal-form");
  const fields = document.getElementById("modal-fields");
  document.getElementById("modal-title").textContent = modal.title;
  fields.replaceChildren(...modal.components.flatMap((each) => field(each, context)));
  form.onsubmit = () => {
    const values = {};
    for (const input of fields.querySelectorAll("[data-custom-id]")) {
      const chosen = input.multiple ? [...input.selectedOptions].map((each) => each.value).join(",") : input.value;
      values[input.dataset.customId] = chosen;
    }
    submit(values);
  };
  document.getElementById("modal-cancel").onclick = () => dialog.close();
  dialog.showModal();
}

function field(data, context) {
  if (data.type === 1) return data.components.flatMap((each) => field(each, context));
  if (data.type === 10) return [element("p", { class: "text-display field" }, ...markup(data.content, context))];
  if (data.type === 18) return [labelled(data.label, data.description, input(data.component, context))];
  return [labelled(data.label, null, input(data, context))];
}

function labelled(label, description, control) {
  return element("label", { class: "field" }, element("span", {}, label ?? ""), description ? element("small", {}, description) : null, control);
}

function input(data, context) {
  const shared = { "data-custom-id": data.custom_id, "data-testid": `field-${data.custom_id}`, required: data.required !== false };
  if (data.type === 4) {
    const bounds = { minlength: data.min_length, maxlength: data.max_length, placeholder: data.placeholder };
    if (data.style === 2) return element("textarea", { ...shared, ...bounds, rows: 4 }, data.value ?? "");
    return element("input", { ...shared, ...bounds, type: "text", value: data.value });
  }
  const options = data.type === 3 ? data.options : context.entities(data.type);
  return element("select", { ...shared, multiple: data.max_values > 1 }, ...options.map((each) => element("option", { value: each.value, selected: each.default }, each.label)));
}
