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
  const table = button.closest("table"), column = button.dataset.sort, up = button.getAttribute("aria-sort") !== "ascending";
  for (const other of table.querySelectorAll("[aria-sort]")) other.removeAttribute("aria-sort");
  button.setAttribute("aria-sort", up ? "ascending" : "descending");
  const key = (row) => {
    if (column === "name") return row.dataset.name;
    const text = row.querySelector(`td[data-column="${column}"]`).dataset.value;
    return text === "" ? Infinity : Number(text) * (button.dataset.higher === "1" ? -1 : 1);  // the best first
  };
  const body = table.tBodies[0], rows = [...body.rows];
  rows.sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0) * (up ? 1 : -1));
  body.append(...rows);
});
for (const button of document.querySelectorAll("[data-record]"))
  button.addEventListener("click", () => find(button.dataset.record).showModal());
for (const box of document.querySelectorAll(".columns input")) box.addEventListener("change", () => {
  for (const cell of numbers.querySelectorAll(`[data-column="${box.dataset.column}"]`)) cell.hidden = !box.checked;
});
