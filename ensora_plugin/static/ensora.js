// Behaviour of the Synchronization window: the combobox of a row, pop-ups, the toast, and what htmx leaves to us.
(() => {
  "use strict";
  const root = document.getElementById("ensora");
  if (!root) return;
  root.classList.add("e-js");

  // --- The combobox (WAI-ARIA pattern, list autocomplete): searched on the server, chosen by htmx. ---

  const listOf = (input) => document.getElementById(input.getAttribute("aria-controls"));
  const isOpen = (input) => input.getAttribute("aria-expanded") === "true";
  const optionsOf = (input) => [...listOf(input).querySelectorAll("[role=option]")];

  function open(input) {
    // While a choice is on its way there is nothing else to choose.
    if (isOpen(input) || input.dataset.chosen) return;
    input.dataset.before = input.value;
    input.value = "";
    input.placeholder = input.dataset.before || input.placeholder;
    input.setAttribute("aria-expanded", "true");
    // What was offered the last time may be gone; nothing of it can be chosen while the server is asked.
    listOf(input).replaceChildren();
    listOf(input).hidden = false;
    htmx.trigger(input, "ensora-open");
  }

  function close(input, { restore = true } = {}) {
    if (!isOpen(input)) return;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
    listOf(input).hidden = true;
    if (restore) input.value = input.dataset.before;
  }

  function activate(input, option) {
    optionsOf(input).forEach((each) => {
      each.classList.toggle("e-active", each === option);
      each.setAttribute("aria-selected", each === option ? "true" : "false");
    });
    if (!option) return input.removeAttribute("aria-activedescendant");
    input.setAttribute("aria-activedescendant", option.id);
    option.scrollIntoView({ block: "nearest" });
  }

  function move(input, step) {
    const options = optionsOf(input).filter((option) => option.id);
    if (!options.length) return;
    const at = options.findIndex((option) => option.classList.contains("e-active"));
    activate(input, options[(at + step + options.length + (at < 0 && step < 0 ? 1 : 0)) % options.length]);
  }

  function choose(input, option) {
    if (!option || option.getAttribute("aria-disabled") === "true") return;
    input.value = option.querySelector(".e-who").textContent;
    close(input, { restore: false });
    input.dataset.chosen = "true";
    htmx.trigger(option, "ensora-choose");
  }

  const keys = {
    ArrowDown: (input) => (isOpen(input) ? move(input, 1) : open(input)),
    ArrowUp: (input) => (isOpen(input) ? move(input, -1) : open(input)),
    Enter: (input) => (isOpen(input) ? choose(input, listOf(input).querySelector(".e-active")) : open(input)),
    Escape: (input) => close(input),
    Tab: (input) => close(input),
  };

  root.addEventListener("keydown", (event) => {
    const input = event.target.closest("[role=combobox]");
    if (!input || !keys[event.key]) return;
    if (event.key !== "Tab") event.preventDefault();
    keys[event.key](input);
  });
  root.addEventListener("input", (event) => {
    const input = event.target.closest("[role=combobox]");
    if (!input || input.dataset.chosen) return;
    const typed = input.value;
    open(input);
    input.value = typed;
    // What was marked belongs to what was typed before.
    activate(input, null);
    htmx.trigger(input, "ensora-search");
  });
  root.addEventListener("mousedown", (event) => {
    // A press on an option must not take the focus from the field, which would close the list.
    if (event.target.closest(".e-menu")) event.preventDefault();
  });
  root.addEventListener("click", (event) => {
    const option = event.target.closest("[role=option]");
    const pick = event.target.closest("[data-combobox]");
    if (!pick) return;
    const input = pick.querySelector("[role=combobox]");
    if (option) return choose(input, option);
    input.focus();
    open(input);
  });
  root.addEventListener("focusout", (event) => {
    const input = event.target.closest("[role=combobox]");
    if (input && !input.dataset.chosen) close(input);
  });

  // On a narrow screen the current tab and filter may lie outside of what is seen.
  const reveal = (scope) =>
    scope.querySelectorAll("nav [aria-current], .e-seg [aria-current]").forEach((link) => {
      link.parentElement.scrollLeft = link.offsetLeft - link.parentElement.offsetLeft - 24;
    });

  const ready = (scope) => {
    reveal(scope);
    // Without this script the field only shows what is mapped.
    scope.querySelectorAll("[role=combobox][readonly]").forEach((input) => input.removeAttribute("readonly"));
  };
  ready(root);

  // --- htmx: what it swaps, and what it cannot reach. ---

  root.addEventListener("htmx:beforeSwap", (event) => {
    // These answers carry what went wrong, in the place where the person is.
    if ([403, 409, 422].includes(event.detail.xhr.status)) {
      if (/^<(tr|form|div id="ensora-)/.test(event.detail.serverResponse.trim())) {
        event.detail.shouldSwap = true;
        event.detail.isError = false;
      }
    }
  });
  root.addEventListener("htmx:load", (event) => {
    ready(event.detail.elt.parentElement || root);
    const invalid = event.detail.elt.querySelector?.("[aria-invalid], [type=password]");
    if (event.detail.elt.matches?.("form.e-form") && invalid) invalid.focus();
    if (event.detail.elt.matches?.("tr[id^=row-]") && document.activeElement === document.body) {
      event.detail.elt.querySelector("[role=combobox]")?.focus();
    }
  });
  const trouble = {
    0: "The connection was lost. Look at the network and try again; nothing was changed.",
    403: "You may not do this any more. Load the page again.",
    404: "This is no longer there, or no longer yours to see. Load the page again.",
    503: "The system is busy. Try again in a moment; nothing was changed.",
  };
  const failed = (event) => {
    root.querySelectorAll("[role=combobox][data-chosen]").forEach((input) => {
      delete input.dataset.chosen;
      input.value = input.dataset.before;
    });
    toast(trouble[event.detail.xhr.status] || "Something went wrong on our side; nothing was changed. Try again.", true);
  };
  root.addEventListener("htmx:responseError", failed);
  root.addEventListener("htmx:sendError", failed);
  root.addEventListener("htmx:timeout", failed);

  // New rows must not take a list away in which somebody is choosing: they wait until it is closed.
  let fresh = false;
  const refill = () => {
    const table = document.getElementById("ensora-table");
    if (!fresh || !table || root.querySelector("[role=combobox][aria-expanded=true], [data-chosen]")) return;
    fresh = false;
    htmx.trigger(table, "ensora-refresh");
  };
  document.body.addEventListener("ensora-rows", () => { fresh = true; refill(); });
  root.addEventListener("focusout", () => setTimeout(refill, 0));

  // --- The toast. ---

  const bread = document.getElementById("ensora-toast");
  let timer;
  function toast(text, bad = false) {
    bread.textContent = text;
    bread.classList.toggle("e-bad", bad);
    bread.hidden = false;
    clearTimeout(timer);
    timer = setTimeout(() => (bread.hidden = true), bad ? 12000 : 6000);
  }
  document.body.addEventListener("ensora-toast", (event) => toast(event.detail.text));

  root.addEventListener("change", (event) => {
    if (event.target.matches("[data-submits]")) event.target.form.submit();
  });

  // htmx notes the address for its history, which is off; an address may hold a name that was searched for.
  window.addEventListener("load", () => sessionStorage.removeItem("htmx-current-path-for-history"));

  // --- Pop-ups. ---

  root.querySelectorAll("dialog[data-modal][open]").forEach((dialog) => {
    dialog.close();
    dialog.showModal();
  });
  root.addEventListener("click", (event) => {
    if (event.target.closest("[data-closes]")) event.target.closest("dialog").close();
    const opener = event.target.closest("[data-opens]");
    if (opener) document.getElementById(opener.dataset.opens).showModal();
  });
})();
