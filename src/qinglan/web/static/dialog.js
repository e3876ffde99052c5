// Opens the dialog that htmx has put something into. The browser holds the focus inside and gives it back at the end;
// without script the links that would fill a dialog lead to a page of their own.

document.addEventListener("htmx:afterSwap", (event) => {
  const dialog = event.target.closest("dialog");
  if (dialog && !dialog.open) dialog.showModal();
});
