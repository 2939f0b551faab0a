"use strict";
const find = (id) => document.getElementById(id);
const make = (name, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
};

// ---------------------------------------------------------------- the table
const numbers = find("numbers");
for (const button of document.querySelectorAll("[data-sort]")) button.addEventListener("click", () => {
  const table = button.closest("table"), column = button.dataset.sort, head = button.closest("th");
  const first = button.dataset.higher === "1" ? "descending" : "ascending";  // the best number above
  const up = head.getAttribute("aria-sort") !== first, order = up === (first === "ascending") ? "ascending" : "descending";
  for (const other of table.querySelectorAll("[aria-sort]")) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", order);
  const key = (row) => {
    if (column === "name") return row.dataset.name;
    const text = row.querySelector(`td[data-column="${column}"]`).dataset.value;
    return text === "" ? (up ? Infinity : -Infinity) : Number(text) * (button.dataset.higher === "1" ? -1 : 1);
  };
  const body = table.tBodies[0], rows = [...body.rows];
  rows.sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0) * (up ? 1 : -1));
  body.append(...rows);
});
for (const button of document.querySelectorAll("[data-record]"))
  button.addEventListener("click", () => { location.hash = encodeURIComponent(button.dataset.record); });
const openLinked = () => {  // a record has an address of its own
  const record = find(decodeURIComponent(location.hash.slice(1)));
  if (record && record.matches("dialog") && !record.open) record.showModal();
};
for (const record of document.querySelectorAll("dialog"))
  record.addEventListener("close", () => history.replaceState(null, "", location.pathname + location.search));
window.addEventListener("hashchange", openLinked);
openLinked();
for (const box of document.querySelectorAll(".columns input")) box.addEventListener("change", () => {
  for (const cell of numbers.querySelectorAll(`[data-column="${box.dataset.column}"]`)) cell.hidden = !box.checked;
});
