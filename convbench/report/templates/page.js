"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") !== "ascending";
    for (const other of heads) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const key = (row) => {
      const cell = row.cells[column];
      const value = cell.dataset.v;
      return { number: value === undefined ? NaN : Number(value), text: cell.textContent };
    };
    const rows = [...body.rows].map((row) => [key(row), row]);
    rows.sort(([a], [b]) => {
      // What has no number goes last, whichever way the rest is sorted.
      if (isNaN(a.number) !== isNaN(b.number)) return isNaN(a.number) ? 1 : -1;
      const order = isNaN(a.number) ? a.text.localeCompare(b.text, undefined, { numeric: true }) : a.number - b.number;
      return up ? order : -order;
    });
    body.append(...rows.map(([, row]) => row));
  }));
}
for (const input of document.querySelectorAll("input.filter")) {
  const rows = [...document.querySelectorAll("#" + input.getAttribute("aria-controls") + " tbody tr")];
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const count = input.closest("p").querySelector(".count");
  const show = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row, index) => {
      row.hidden = !words.every((word) => texts[index].includes(word));
      shown += !row.hidden;
    });
    count.textContent = `${shown} of ${rows.length} lines`;
  };
  input.addEventListener("input", show);
  show();
}
for (const select of document.querySelectorAll("select.pick")) {
  const show = () => {
    for (const option of select.options) document.getElementById(option.value).hidden = option.value !== select.value;
  };
  select.addEventListener("change", show);
  show(); // a reload keeps the reader's choice
}
