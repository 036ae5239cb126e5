// What is wider than its box is scrolled with the keyboard too, which takes the focus.
function mark() {
  for (const box of document.querySelectorAll("pre, .table-wrapper, .chart-box")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}

document.querySelector(".toc-drawer").setAttribute("aria-label", "On this page");
mark();
addEventListener("load", mark);
addEventListener("resize", mark);
