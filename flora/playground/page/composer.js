// The message box: what is typed, which commands and options fit, and what is sent.

import { element } from "./markup.js";

const SUB = 1;
const GROUP = 2;
const TYPES = { 3: "text", 4: "whole number", 5: "true or false", 6: "user", 7: "channel", 8: "role", 9: "user or role", 10: "number", 11: "file" };

export class Composer {
  // `host` has commands(), entities(type), autocomplete(command, path, options), send(text), typing().
  constructor(input, list, form, host) {
    this.input = input;
    this.list = list;
    this.host = host;
    this.items = [];
    this.chosen = 0;
    this.round = 0;
    this.history = [];
    this.lastTyping = 0;
    input.addEventListener("input", () => this.changed());
    input.addEventListener("keydown", (event) => this.key(event));
    input.addEventListener("blur", () => setTimeout(() => this.hide(), 120));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
  }

  async changed() {
    this.input.style.height = "auto";
    this.input.style.height = `${this.input.scrollHeight}px`;
    const text = this.input.value;
    if (!text.startsWith("/")) {
      this.hide();
      if (text && Date.now() - this.lastTyping > 8000) {
        this.lastTyping = Date.now();
        this.host.typing();
      }
      return;
    }
    const round = ++this.round;
    const items = await this.suggest(text);
    if (round === this.round) this.show(items);
  }

  async suggest(text) {
    const commands = this.host.commands();
    const typed = /^\/(\S*)$/.exec(text);
    if (typed) {
      return commands.filter((each) => each.name.startsWith(typed[1].toLowerCase())).map((each) => ({
        label: `/${each.name}`, note: each.description, marks: optionMarks(each.options), text: `/${each.name} `,
      }));
    }
    return this.suggestOptions(text, commands);
  }

  async suggestOptions(text, commands) {
    const [, name, rest] = /^\/(\S+)\s([\s\S]*)$/.exec(text) ?? [];
    const command = commands.find((each) => each.name === name?.toLowerCase());
    if (!command) return [];
    let options = command.options ?? [];
    let tail = rest;
    const path = [];
    while (options.some((each) => each.type === SUB || each.type === GROUP)) {
      const [, word, more] = /^(\S*)(?:\s([\s\S]*))?$/.exec(tail) ?? [null, tail, undefined];
      const found = options.find((each) => each.name === word.toLowerCase());
      if (!found || more === undefined) {
        const before = text.slice(0, text.length - tail.length);
        return options.filter((each) => each.name.startsWith(word.toLowerCase())).map((each) => ({
          label: each.name, note: each.description, marks: optionMarks(each.options), text: `${before}${each.name} `,
        }));
      }
      path.push({ name: found.name, type: found.type });
      options = found.options ?? [];
      tail = more;
    }
    const current = /(?:^|\s)(?:([^\s:"]+):)?("[^"]*|[^\s"]*)$/.exec(tail);
    if (!current) return [];
    const used = [...tail.matchAll(/(?:^|\s)([-_'\p{L}\p{N}]+):/gu)].map((match) => match[1]);
    const named = options.find((each) => each.name === current[1]);
    if (named) return this.suggestValues(text, command, path, options, tail, named, current[2].replace(/^"/, ""));
    const before = text.slice(0, text.length - current[2].length);
    const free = options.filter((each) => !used.includes(each.name) && each.name.startsWith(current[2].toLowerCase()));
    return free.map((each) => ({
      label: `${each.name}:`, note: each.description, marks: [TYPES[each.type] + (each.required ? ", required" : "")], text: `${before}${each.name}:`,
    }));
  }

  async suggestValues(text, command, path, options, tail, option, prefix) {
    const before = text.slice(0, text.lastIndexOf(`${option.name}:`) + option.name.length + 1);
    const fill = (value) => `${before}${/\s/.test(value) ? `"${value}"` : value} `;
    const fits = (label) => label.toLowerCase().includes(prefix.toLowerCase());
    if (option.autocomplete) {
      const given = readOptions(options, tail, option.name, prefix);
      const choices = await this.host.autocomplete(command, path, given);
      return choices.map((each) => ({ label: each.name, note: "", marks: [], text: fill(String(each.value)) }));
    }
    let values = (option.choices ?? []).map((each) => ({ label: each.name, value: String(each.name) }));
    if (option.type === 5) values = [{ label: "true", value: "true" }, { label: "false", value: "false" }];
    if ([6, 7, 8, 9].includes(option.type)) values = this.host.values(option.type);
    return values.filter((each) => fits(each.label)).map((each) => ({ label: each.label, note: "", marks: [], text: fill(each.value) }));
  }

  show(items) {
    this.items = items;
    this.chosen = 0;
    if (!items.length) return this.hide();
    this.list.replaceChildren(...items.map((item, index) => element("li", {
      class: "suggestion", role: "option", id: `suggestion-${index}`, "data-testid": "suggestion",
      onmousedown: (event) => {
        event.preventDefault();
        this.take(index);
      },
    }, element("b", {}, item.label), element("span", {}, item.note), ...item.marks.map((mark) => element("code", {}, mark)))));
    this.list.hidden = false;
    this.input.setAttribute("aria-expanded", "true");
    this.mark();
  }

  hide() {
    this.round += 1;
    this.items = [];
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
  }

  mark() {
    [...this.list.children].forEach((each, index) => {
      each.setAttribute("aria-selected", String(index === this.chosen));
      if (index === this.chosen) each.scrollIntoView({ block: "nearest" });
    });
    this.input.setAttribute("aria-activedescendant", `suggestion-${this.chosen}`);
  }

  take(index) {
    this.input.value = this.items[index].text;
    this.hide();
    this.input.focus();
    this.changed();
  }

  key(event) {
    if (event.isComposing) return;
    const open = this.items.length > 0;
    if (open && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      const step = event.key === "ArrowDown" ? 1 : -1;
      this.chosen = (this.chosen + step + this.items.length) % this.items.length;
      this.mark();
    } else if (open && event.key === "Tab") {
      event.preventDefault();
      this.take(this.chosen);
    } else if (open && event.key === "Escape") {
      event.preventDefault();
      this.hide();
    } else if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      const onlyName = /^\/\S*$/.test(this.input.value);
      if (open && onlyName && this.items[this.chosen].text.trim() !== this.input.value) this.take(this.chosen);
      else this.submit();
    } else if (event.key === "ArrowUp" && !this.input.value && this.history.length) {
      event.preventDefault();
      this.input.value = this.history.at(-1);
    }
  }

  async submit() {
    const text = this.input.value.trim();
    if (!text) return;
    this.hide();
    this.input.value = "";
    this.input.style.height = "auto";
    this.history.push(text);
    if (!(await this.host.send(text))) this.input.value ||= text;
  }
}

function optionMarks(options = []) {
  return options.filter((each) => each.type > GROUP).map((each) => (each.required ? each.name : `${each.name}?`));
}

// The options that are typed so far, for an autocomplete request; the one being typed is focused.
function readOptions(options, tail, focused, prefix) {
  const given = [];
  for (const match of tail.matchAll(/(?:^|\s)([-_'\p{L}\p{N}]+):(?:"([^"]*)"|(\S+))/gu)) {
    const option = options.find((each) => each.name === match[1]);
    if (option && option.name !== focused) given.push({ name: option.name, value: match[2] ?? match[3] });
  }
  return [...given, { name: focused, value: prefix, focused: true }];
}
