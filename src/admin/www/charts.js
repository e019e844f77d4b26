"use strict";
// Small charts in SVG: what is drawn is what `samples` holds, one point each poll.
const SVG = "http://www.w3.org/2000/svg";
const POINTS = 150; // five minutes of polls

function svg(name, attributes) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}

function path(values, top, close) {
  const x = (i) => (300 * (POINTS - values.length + i)) / (POINTS - 1);
  const y = (v) => 58 - 54 * (top > 0 ? v / top : 0);
  let d = "", open = false, first = 0, last = 0;
  values.forEach((v, i) => {
    if (v === null) { open = false; return; }
    if (!d) first = x(i);
    last = x(i);
    d += `${open ? "L" : "M"}${x(i).toFixed(1)} ${y(v).toFixed(1)}`;
    open = true;
  });
  return close && d ? `${d.replace(/M/g, (m, at) => (at ? "L" : "M"))}L${last.toFixed(1)} 58L${first.toFixed(1)} 58Z` : d;
}

class Chart {
  constructor(parent, title, unit, format) {
    Object.assign(this, { title, unit, format, lines: [[], []] });
    this.box = document.createElement("div");
    this.box.className = "chart";
    this.head = document.createElement("h3");
    this.head.textContent = title;
    this.now = document.createElement("p");
    this.now.className = "now";
    this.note = document.createElement("p");
    this.note.className = "sub";
    this.svg = svg("svg", { viewBox: "0 0 300 60", preserveAspectRatio: "none", role: "img" });
    this.base = svg("path", { class: "base", d: "M0 58.5H300" });
    this.area = svg("path", { class: "area" });
    this.second = svg("path", { class: "line second" });
    this.line = svg("path", { class: "line" });
    this.svg.append(this.base, this.area, this.second, this.line);
    this.box.append(this.head, this.now, this.note, this.svg);
    parent.append(this.box);
  }

  // `value` and `second` may be null: nothing was seen in this while.
  add(value, second = null, note = "") {
    [value, second].forEach((v, i) => {
      this.lines[i].push(v);
      if (this.lines[i].length > POINTS) this.lines[i].shift();
    });
    const seen = this.lines.flat().filter((v) => v !== null);
    const top = Math.max(...seen, 0);
    this.area.setAttribute("d", path(this.lines[0], top, true));
    this.line.setAttribute("d", path(this.lines[0], top, false));
    this.second.setAttribute("d", path(this.lines[1], top, false));
    const text = value === null ? "–" : this.format(value);
    const small = document.createElement("small");
    small.textContent = ` ${value === null ? "" : this.unit}`;
    this.now.replaceChildren(text, small);
    this.note.textContent = note || `at most ${this.format(top)}`;
    this.svg.setAttribute("aria-label", `${this.title}: now ${text} ${this.unit}, ${note}, at most ${this.format(top)}`);
  }
}

// The q-quantile of what was counted between two states of a histogram, in seconds; null: nothing.
function quantile(before, after, bounds, q) {
  const counts = after.map((n, i) => n - (before[i] || 0));
  const total = counts.reduce((a, b) => a + b, 0);
  if (total <= 0) return null;
  let below = 0;
  for (let i = 0; i < counts.length; i++) {
    if (below + counts[i] >= q * total && counts[i] > 0) {
      const low = i > 0 ? bounds[i - 1] : 0, high = i < bounds.length ? bounds[i] : bounds[bounds.length - 1];
      return (low + (high - low) * ((q * total - below) / counts[i])) / 1e6;
    }
    below += counts[i];
  }
  return bounds[bounds.length - 1] / 1e6;
}
