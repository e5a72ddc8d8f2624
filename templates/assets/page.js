// What a page can do more where scripts run. Without this file nothing is missing: it adds two kinds of buttons, whose
// words stand in the markup.
"use strict";

const add = (place, label) => {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "added";
  button.textContent = label;
  place.after(button);
  return button;
};

// A password that can be looked at while it is typed, and is hidden again before it leaves.
for (const field of document.querySelectorAll("input[data-show]")) {
  const button = add(field, field.dataset.show);
  const show = (shown) => {
    field.type = shown ? "text" : "password";
    button.setAttribute("aria-pressed", String(shown));
  };
  // As text it would be sent to whoever checks spelling.
  field.spellcheck = false;
  field.autocapitalize = "none";
  button.setAttribute("aria-controls", field.id);
  button.addEventListener("click", () => show(field.type === "password"));
  field.form.addEventListener("submit", () => show(false));
  addEventListener("pagehide", () => show(false));
  show(false);
}

// What support will ask for.
for (const text of document.querySelectorAll("[data-copy]")) {
  const button = add(text, text.dataset.copy);
  const told = document.createElement("span");
  told.setAttribute("role", "status");
  button.after(told);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text.textContent);
      told.textContent = text.dataset.copied;
    } catch {
      getSelection().selectAllChildren(text);
    }
  });
}
