// A filter that changes narrows the list at once; without this script the Search button does the same.
"use strict";
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
});
