// Behaviour of the Synchronization window: the combobox of a row, pop-ups, the toast, and what htmx leaves to us.
(() => {
  "use strict";
  const root = document.getElementById("ensora");
  if (!root) return;
  root.classList.add("e-js");

  // --- The combobox (WAI-ARIA pattern, list autocomplete): searched on the server, chosen by htmx. ---

  const listOf = (input) => document.getElementById(input.getAttribute("aria-controls"));
  const isOpen = (input) => input.getAttribute("aria-expanded") === "true";
  const optionsOf = (input) => [...listOf(input).querySelectorAll("[role=option][id]")];
  const activeOf = (input) => listOf(input).querySelector(".e-active");

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
    for (const each of optionsOf(input)) each.setAttribute("aria-selected", String(each.classList.toggle("e-active", each === option)));
    if (!option) return input.removeAttribute("aria-activedescendant");
    input.setAttribute("aria-activedescendant", option.id);
    option.scrollIntoView({ block: "nearest" });
  }

  function move(input, step) {
    const options = optionsOf(input);
    if (!options.length) return;
    const at = options.indexOf(activeOf(input));
    activate(input, options[(at + step + options.length + (at < 0 && step < 0 ? 1 : 0)) % options.length]);
  }

  function choose(input, option) {
    if (!option || option.ariaDisabled === "true") return;
    if (option.dataset.href) return window.location.assign(option.dataset.href);
    const name = option.querySelector(".e-who");
    if (name) input.value = name.textContent;
    close(input, { restore: !name });
    input.dataset.chosen = "true";
    htmx.trigger(option, "ensora-choose");
  }

  // Home and End go through the list once the keyboard is in it, else through what is typed.
  const jump = (last) => (input) => (isOpen(input) && activeOf(input) ? activate(input, optionsOf(input).at(last)) : "typed");
  const keys = {
    ArrowDown: (input) => (isOpen(input) ? move(input, 1) : open(input)),
    ArrowUp: (input, alt) => (isOpen(input) ? (alt ? close(input) : move(input, -1)) : open(input)),
    Enter: (input) => (isOpen(input) ? choose(input, activeOf(input)) : open(input)),
    Escape: (input) => close(input),
    Tab: (input) => (close(input), "typed"),
    Home: jump(0),
    End: jump(-1),
  };

  root.addEventListener("keydown", (event) => {
    if (event.key === "Escape") event.target.closest(".e-icon")?.classList.add("e-quiet");
    const input = event.target.closest("[role=combobox]");
    if (input && keys[event.key] && keys[event.key](input, event.altKey) !== "typed") event.preventDefault();
  });
  root.addEventListener("input", ({ target: input }) => {
    if (!input.matches("[role=combobox]") || input.dataset.chosen) return;
    const typed = input.value;
    open(input);
    input.value = typed;
    // What was marked belongs to what was typed before.
    activate(input, null);
    htmx.trigger(input, "ensora-search");
  });
  // A press on an option must not take the focus from the field, which would close the list.
  root.addEventListener("mousedown", (event) => event.target.closest(".e-menu") && event.preventDefault());
  root.addEventListener("click", (event) => {
    const option = event.target.closest("[role=option]");
    const pick = event.target.closest(".e-pick");
    if (!pick) return;
    const input = pick.querySelector("[role=combobox]");
    if (option) return choose(input, option);
    input.focus();
    open(input);
  });
  root.addEventListener("focusout", (event) => {
    event.target.closest(".e-icon")?.classList.remove("e-quiet");
    const input = event.target.closest("[role=combobox]");
    if (input && !input.dataset.chosen) close(input);
  });

  const announce = (menu) => {
    const found = menu.querySelectorAll("[role=option][id]:not(.e-verb)").length;
    document.getElementById("ensora-live").textContent = found ? `${found} to choose from` : menu.querySelector(".e-none")?.textContent || "";
  };

  // On a narrow screen the current tab and filter may lie outside of what is seen.
  const reveal = (scope) =>
    scope.querySelectorAll("nav [aria-current], .e-seg [aria-current]").forEach((link) => {
      link.parentElement.scrollLeft = link.offsetLeft - link.parentElement.offsetLeft - 24;
    });

  // What every row has in common is added here; without this script a field only shows what is mapped.
  const at = (element) => element.closest("table").dataset.at + element.closest("tr").id.slice(4);
  const seen = (element) => `seen=${element.closest("tr").dataset.seen || 0}`;
  function equip(element, attributes) {
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    htmx.process(element);
  }
  function makeCombobox(pick) {
    const input = pick.querySelector("input");
    const list = `list-${input.id}`;
    pick.append(Object.assign(document.createElement("ul"), { id: list, className: "e-menu", role: "listbox", hidden: true }));
    pick.lastChild.setAttribute("aria-label", input.getAttribute("aria-label"));
    input.removeAttribute("readonly");
    equip(input, {
      name: "q", role: "combobox", autocomplete: "off", maxlength: 255,
      "aria-expanded": "false", "aria-autocomplete": "list", "aria-controls": list,
      "hx-get": `${at(input)}/options?${seen(input)}`, "hx-trigger": "ensora-open, ensora-search delay:200ms",
      "hx-target": `#${list}`, "hx-swap": "innerHTML", "hx-sync": "this:replace",
    });
  }
  const makeDeep = (deep) =>
    equip(deep, { "hx-get": `${at(deep)}/why?${seen(deep)}`, "hx-trigger": "toggle once", "hx-target": "find div", "hx-swap": "innerHTML" });

  const ready = (scope) => {
    reveal(scope);
    scope.querySelectorAll(".e-pick:not(:has(ul))").forEach(makeCombobox);
    scope.querySelectorAll(".e-deep:not([hx-get])").forEach(makeDeep);
  };
  ready(root);

  // --- htmx: what it swaps, and what it cannot reach. ---

  root.addEventListener("htmx:beforeSwap", (event) => {
    // These answers carry what went wrong, in the place where the person is.
    const ours = /^<(tr|form|div id="ensora-)/.test(event.detail.serverResponse.trim());
    if (ours && [403, 409, 422].includes(event.detail.xhr.status)) {
      event.detail.shouldSwap = true;
      event.detail.isError = false;
    }
  });
  root.addEventListener("htmx:afterSwap", ({ target }) => target.matches(".e-menu") && announce(target));
  root.addEventListener("htmx:load", (event) => {
    const loaded = event.detail.elt;
    ready(loaded.parentElement || root);
    if (loaded.matches?.("form")) loaded.querySelector("[aria-invalid], [type=password], [tabindex]")?.focus();
    if (loaded.matches?.("tr[id^=row-]")) {
      const asked = loaded.querySelector(".e-ask :is(input, .e-primary)");
      asked?.focus();
      if (!asked && document.activeElement === document.body) loaded.querySelector("[role=combobox]")?.focus();
    }
    if (loaded.id === "ensora-table") htmx.trigger(document.body, "ensora-searched");
  });
  const trouble = {
    0: "The connection was lost. Look at the network and try again; nothing was changed, and what you typed is still here.",
    400: "This page had been open for long. It is ready again: do it once more; what you typed is still here.",
    401: "Your session has ended. What you typed is still here: sign in again in another tab, then go on.",
    403: "You may not do this any more. Load the page again to see what you may do.",
    404: "This is no longer there, or no longer yours to see. Load the page again.",
    503: "The system is busy. Try again in a moment; nothing was changed.",
  };
  const failed = (event) => {
    root.querySelectorAll("[role=combobox][data-chosen]").forEach((input) => {
      delete input.dataset.chosen;
      input.value = input.dataset.before;
    });
    const { status } = event.detail.xhr;
    const menu = event.target.matches("[role=combobox]") && listOf(event.target);
    if (menu && !menu.children.length) menu.innerHTML = '<li class="e-option e-none">Nothing could be looked up. Type to try again.</li>';
    toast(trouble[status] || "Something went wrong on our side; nothing was changed. Try again.", { bad: true, link: status === 401 && ["Sign in", location.href] });
  };
  for (const name of ["responseError", "sendError", "timeout"]) root.addEventListener(`htmx:${name}`, failed);
  document.body.addEventListener("ensora-token", (event) => {
    root.setAttribute("hx-headers", JSON.stringify({ "X-CSRFToken": event.detail.value }));
  });

  // New rows wait while somebody chooses or points at the old ones: no row may jump away under them.
  let fresh = false;
  const table = () => document.getElementById("ensora-table");
  const choosing = () => root.querySelector("[role=combobox][aria-expanded=true], [data-chosen], .e-ask, td .htmx-request, .e-own:not([hidden])");
  const watched = () => table()?.querySelector("tr[id]") && table().matches(":hover, :focus-within");
  const refill = () => {
    if (!fresh || !table() || choosing()) return;
    fresh = false;
    htmx.trigger(table(), "ensora-refresh");
  };
  const refillUnwatched = () => setTimeout(() => fresh && table() && !watched() && refill());
  // What a person's own change said stays until it goes by itself, and its row with it.
  const tellFresh = () => fresh && table() && (bread.hidden ? toast("The pull changed rows here.", { verb: ["Show", refill] }) : setTimeout(tellFresh, 1000));
  document.body.addEventListener("ensora-rows", () => {
    const news = !fresh;
    fresh = true;
    if (!watched()) refill();
    if (news) tellFresh();
  });
  for (const name of ["focusout", "mouseout"]) root.addEventListener(name, refillUnwatched);

  // --- The toast. ---

  const bread = document.getElementById("ensora-toast");
  let timer;
  const hide = () => (bread.matches(":hover, :focus-within") ? (timer = setTimeout(hide, 3000)) : (bread.hidden = true));
  function toast(text, { bad = false, verb, link } = {}) {
    bread.textContent = text;
    bread.className = `e-toast${bad ? " e-bad" : ""}${verb?.[0] === "Undo" ? " e-own" : ""}`;
    if (verb) {
      const done = () => { bread.hidden = true; verb[1](); };
      bread.append(" ", Object.assign(document.createElement("button"), { type: "button", className: "e-link", textContent: verb[0], onclick: done }));
    }
    if (link) bread.append(" ", Object.assign(document.createElement("a"), { textContent: link[0], href: link[1], target: "_blank", rel: "noopener" }));
    bread.hidden = false;
    clearTimeout(timer);
    timer = setTimeout(hide, bad || verb ? 20000 : 6000);
  }
  document.body.addEventListener("ensora-toast", ({ detail }) => {
    toast(detail.text, { verb: detail.row && ["Undo", () => document.querySelector(`#row-${detail.row} .e-undo`)?.click()] });
  });

  // --- Filters, pop-ups and printing. ---

  root.addEventListener("change", ({ target }) => target.matches("[data-submits]") && target.form.requestSubmit());
  root.addEventListener("change", ({ target }) => target.matches("[data-checks]") && target.form.querySelectorAll("[name=chosen]").forEach((box) => (box.checked = target.checked)));
  root.addEventListener("formdata", (event) => {
    // What was not asked for has no place in the address.
    for (const [name, value] of [...event.formData]) if (!value) event.formData.delete(name);
  });

  // htmx notes the address for its history, which is off; an address may hold a name that was searched for.
  const forget = () => sessionStorage.removeItem("htmx-current-path-for-history");
  for (const name of ["load", "htmx:replacedInHistory"]) window.addEventListener(name, forget);

  for (const dialog of root.querySelectorAll("dialog[data-modal][open]")) dialog.close() || dialog.showModal();
  root.addEventListener("click", (event) => {
    if (event.target.closest("[data-prints]")) window.print();
    if (event.target.closest("[data-closes]")) event.target.closest("dialog").close();
    document.getElementById(event.target.closest("[data-opens]")?.dataset.opens)?.showModal();
  });
})();
