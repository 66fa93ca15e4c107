// The Print button of the evidence sheet.
document.querySelectorAll("[data-prints]").forEach((button) => button.addEventListener("click", () => window.print()));
