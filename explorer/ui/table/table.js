/* The table of measures. A row with pictures behind it is a button: it asks Streamlit for them, and
   brings them into view when they have come. */

const WAIT = 100, MOST_WAITS = 100; // ms, and how often

class Table {
  constructor(root) {
    this.root = root;
    root.addEventListener("click", (event) => {
      const row = event.target.closest("tr[data-row]");
      if (row && !String(getSelection())) this.ask(row.dataset.row);
    });
  }

  update(data, setTriggerValue) {
    this.setTriggerValue = setTriggerValue;
    if (data.html !== this.html) {
      const focused = document.activeElement?.closest?.("tr[data-row]")?.dataset.row;
      this.html = data.html;
      this.root.innerHTML = data.html;
      if (focused) this.button(focused)?.focus({ preventScroll: true });
    }
    for (const button of this.root.querySelectorAll("tr[data-row] button")) {
      const row = button.closest("tr"), open = row.dataset.row === data.opened;
      button.setAttribute("aria-expanded", open);
      row.classList.toggle("open", open);
    }
  }

  button(row) { return this.root.querySelector(`tr[data-row="${CSS.escape(row)}"] button`); }

  ask(row) {
    this.setTriggerValue("row", row);
    this.bring(row, MOST_WAITS);
  }

  bring(row, waits) {
    clearTimeout(this.timer);
    const target = document.querySelector(`.st-key-evidence-${CSS.escape(row)}`);
    if (target) {
      const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
      target.scrollIntoView({ behavior: still ? "auto" : "smooth", block: "nearest" });
    } else if (waits) this.timer = setTimeout(() => this.bring(row, waits - 1), WAIT);
  }
}

export default function show({ parentElement, data, setTriggerValue }) {
  const root = parentElement.querySelector(".standing-table");
  root.table ??= new Table(root);
  root.table.update(data, setTriggerValue);
}
