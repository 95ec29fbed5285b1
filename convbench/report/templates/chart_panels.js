// One panel as SVG: axes, bands, lines, markers, names at their ends.
const SVG = "http://www.w3.org/2000/svg";

function svg(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const polygon = (corners, turn, r) =>
  Array.from({ length: corners }, (_, i) => {
    const angle = turn + (2 * Math.PI * i) / corners;
    return `${(r * Math.sin(angle)).toFixed(2)},${(-r * Math.cos(angle)).toFixed(2)}`;
  }).join("L");
const star = (r) =>
  Array.from({ length: 10 }, (_, i) => {
    const [angle, size] = [(Math.PI * i) / 5, i % 2 ? r * 0.45 : r * 1.2];
    return `${(size * Math.sin(angle)).toFixed(2)},${(-size * Math.cos(angle)).toFixed(2)}`;
  }).join("L");
const cross = (r, w) =>
  `M${-w},${-r}H${w}V${-w}H${r}V${w}H${w}V${r}H${-w}V${w}H${-r}V${-w}H${-w}Z`;
const MARKERS = {
  o: (r) => `M${-r},0A${r},${r} 0 1 0 ${r},0A${r},${r} 0 1 0 ${-r},0Z`,
  s: (r) => `M${polygon(4, Math.PI / 4, r * 1.25)}Z`,
  D: (r) => `M${polygon(4, 0, r * 1.3)}Z`,
  d: (r) => `M0,${-r * 1.4}L${r * 0.8},0L0,${r * 1.4}L${-r * 0.8},0Z`,
  "^": (r) => `M${polygon(3, 0, r * 1.3)}Z`,
  v: (r) => `M${polygon(3, Math.PI, r * 1.3)}Z`,
  "<": (r) => `M${polygon(3, -Math.PI / 2, r * 1.3)}Z`,
  ">": (r) => `M${polygon(3, Math.PI / 2, r * 1.3)}Z`,
  p: (r) => `M${polygon(5, 0, r * 1.15)}Z`,
  h: (r) => `M${polygon(6, 0, r * 1.15)}Z`,
  8: (r) => `M${polygon(8, Math.PI / 8, r * 1.1)}Z`,
  P: (r) => cross(r, r * 0.4),
  X: (r) => cross(r, r * 0.4),
  "*": (r) => `M${star(r)}Z`,
};

function marker(look, x, y, hollow, r = 4) {
  return svg("path", {
    d: (MARKERS[look.marker] ?? MARKERS.o)(r),
    transform: `translate(${x.toFixed(1)},${y.toFixed(1)})${look.marker === "X" ? " rotate(45)" : ""}`,
    fill: hollow ? "var(--paper)" : look.color, stroke: look.color, "stroke-width": hollow ? 1.4 : 0.6,
  });
}

const text = (content, x, y, attributes = {}) => {
  const made = svg("text", { x: x.toFixed(1), y: y.toFixed(1), ...attributes });
  made.textContent = content;
  return made;
};
const line = (x1, y1, x2, y2, kind) => svg("line", { x1, y1, x2, y2, class: kind });
const path = (points, attributes) =>
  svg("path", { d: "M" + points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join("L"), ...attributes });
const widthOf = (name) => name.length * 6.6;

// The part of [series index, points] that is to be seen.
const visible = (panel, chosen) => panel.series.filter(([index]) => chosen.has(index));

// Draws `panel` of `view` into `host`; returns its points in pixels, for whoever points at them.
function drawPanel(host, panel, view, looks, chosen, options) {
  const dots = view.kind === "dots";
  const shown = visible(panel, chosen);
  const width = Math.max(host.clientWidth, 260);
  const names = shown.map(([index]) => looks[index].name);
  const named = view.kind === "lines" && width > 430 && names.length <= 16;
  const rowHeight = 24;
  const longest = dots ? Math.min(Math.max(...panel.rows.map(widthOf)), width * 0.36) : 0;
  const left = dots ? longest + 12 : 62;
  const right = named ? Math.max(...names.map(widthOf), 0) + 30 : 16;
  const height = dots ? panel.rows.length * rowHeight + 40 : Math.max(250, Math.min(width * 0.6, 330), named ? names.length * 15 + 60 : 0);
  const [top, bottom] = [8, height - (dots ? 34 : 42)];
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", tabindex: 0, "aria-label": panel.says });
  const floor = (value) => (value <= 0 && options.logY ? view.y.floor : value);
  const across = dots ? { ...view.y, log: options.logY } : { ...view.x, log: options.logX };

  const quantities = shown.flatMap(([, points]) => points.flatMap(([, y, low, high]) => [floor(y), floor(low ?? y), floor(high ?? y)]));
  const roofs = panel.roofs ?? [];
  const scaleY = dots ? null : makeScale(
    [...(options.shared ?? quantities), ...roofs.flatMap((roof) => roof.points.map(([, y]) => y))],
    { log: options.logY, start: view.y.inverted ? top : bottom, end: view.y.inverted ? bottom : top, base: view.y.base, fromZero: true });
  const extent = dots ? quantities : [...(panel.x ?? shown.flatMap(([, points]) => points.map(([x]) => x))), ...roofs.flatMap((roof) => roof.points.map(([x]) => x))];
  if (!extent.length || (!dots && !quantities.length)) {
    root.append(text("nothing chosen has a value here", width / 2, height / 2, { class: "label", "text-anchor": "middle" }));
    host.append(root);
    return { root, points: [] };
  }
  const scaleX = makeScale(extent, { log: across.log, start: left, end: width - right, base: across.base, fromZero: dots, tight: roofs.length > 0 });

  // Axes.
  if (dots) {
    panel.rows.forEach((row, index) => {
      const y = top + (index + 0.5) * rowHeight;
      const most = Math.floor(longest / 6.6);
      root.append(line(left, y, width - right, y, "grid"));
      root.append(text(row.length > most ? row.slice(0, most - 1) + "…" : row, left - 8, y + 4, { class: "label", "text-anchor": "end" }));
    });
  } else {
    let last = Infinity;
    for (const tick of scaleY.ticks) {
      const y = scaleY.at(tick);
      root.append(line(left, y, width - right, y, "grid"));
      if (Math.abs(last - y) < 14) continue;
      const word = view.y.zero && tick <= view.y.floor * 1.01 ? view.y.zero : inUnit(tick, view.y.unit, 3);
      root.append(text(word, left - 7, y + 4, { class: "label", "text-anchor": "end" }));
      last = y;
    }
    root.append(line(left, bottom, width - right, bottom, "axis"));
  }
  let last = -Infinity;
  for (const tick of panel.x && !dots ? panel.x : scaleX.ticks) {
    const x = scaleX.at(tick);
    const word = across.zero && tick <= view.y.floor * 1.01 ? across.zero : inUnit(tick, across.unit, 3);
    root.append(line(x, bottom, x, bottom + 4, "axis"));
    if (dots || view.kind === "scatter") root.append(line(x, top, x, bottom, "grid"));
    if (x - last < widthOf(word) * 0.5 + 16 || x + widthOf(word) / 2 > width + 4) continue;
    root.append(text(word, x, bottom + 17, { class: "label", "text-anchor": "middle" }));
    last = x + widthOf(word) * 0.5;
  }
  if (!dots) root.append(text(view.x.label, (left + width - right) / 2, height - 6, { class: "label", "text-anchor": "middle" }));
  if (view.y.lineAt !== undefined && !dots) root.append(line(left, scaleY.at(view.y.lineAt), width - right, scaleY.at(view.y.lineAt), "limit"));
  if (view.y.lineAt !== undefined && dots) root.append(line(scaleX.at(view.y.lineAt), top, scaleX.at(view.y.lineAt), bottom, "limit"));

  // Crossovers, roofs, stairs.
  (panel.marks ?? []).filter((mark) => mark.of.every((index) => chosen.has(index))).forEach((mark, row) => {
    const [from, to, at] = [mark.low, mark.high, mark.at].map(scaleX.at);
    root.append(svg("rect", { x: from, y: top, width: Math.max(to - from, 1), height: bottom - top, class: "doubt" }));
    root.append(line(at, top, at, bottom, "limit"));
    const long = widthOf(mark.label) * 0.92;
    const start = to + 4 + long < width - right ? to + 4 : Math.max(from - 4 - long, left + 4);
    root.append(text(mark.label, start, bottom - 6 - 15 * row, { class: "label mark" }));
  });
  for (const roof of roofs) {
    const points = roof.points.map(([x, y]) => [scaleX.at(x), scaleY.at(y)]);
    root.append(path(points, { class: roof.faint ? "limit" : "roof" }));
  }
  if (panel.stairs) root.append(path(panel.stairs.map(([x, y]) => [scaleX.at(x), scaleY.at(floor(y))]), { class: "stairs" }));

  // The data.
  const found = [];
  const layers = new Map();
  for (const [index, points] of shown) {
    const look = looks[index];
    const layer = svg("g", { class: "series", "data-name": look.name });
    layers.set(index, layer);
    const placed = points.map(([x, y, low, high, ...more]) =>
      dots
        ? { x: scaleX.at(floor(y)), y: top + (x + 0.5) * rowHeight, low: low === null ? null : scaleX.at(floor(low)), high: high === null ? null : scaleX.at(floor(high)), more }
        : { x: scaleX.at(x), y: scaleY.at(floor(y)), low: low === null ? null : scaleY.at(floor(low)), high: high === null ? null : scaleY.at(floor(high)), more });
    if (view.kind === "lines" && placed.length > 1) {
      if (placed.some((one) => one.low !== null)) {
        const upper = placed.map((one) => [one.x, one.high ?? one.y]);
        const lower = placed.map((one) => [one.x, one.low ?? one.y]).reverse();
        layer.append(path([...upper, ...lower], { fill: look.color, class: "band" }));
      }
      layer.append(path(placed.map((one) => [one.x, one.y]), { stroke: look.color, class: "line", ...(look.dashed ? { "stroke-dasharray": "6 3" } : {}) }));
    }
    placed.forEach((one, order) => {
      if (dots && one.low !== null) layer.append(svg("line", { x1: one.low, x2: one.high, y1: one.y, y2: one.y, stroke: look.color, class: "whisker" }));
      layer.append(marker(look, one.x, one.y, one.more[0] < 2 || one.more[2] === 0));
      found.push({ x: one.x, y: one.y, index, order, raw: points[order], layer });
    });
    root.append(layer);
  }
  // What would lie under the markers: the roofs' names, and those of a few single points.
  for (const roof of roofs) {
    const [x, y] = roof.points[roof.points.length - 1];
    const below = roof.faint ? 13 : -5;
    root.append(text(roof.label, scaleX.at(x) - 2, scaleY.at(y) + below, { class: "label mark", "text-anchor": "end" }));
  }
  if (view.pick) {
    for (const one of found) {
      const name = looks[one.index].name;
      const side = one.x + widthOf(name) + 12 > width ? -1 : 1;
      one.layer.append(text(name, one.x + 9 * side, one.y + 4, { class: "label mark", "text-anchor": side > 0 ? "start" : "end" }));
    }
  }
  if (named) {
    const ends = shown.map(([index, points]) => found.filter((one) => one.index === index).pop() ?? null);
    const wanted = ends.map((end) => end?.y ?? bottom);
    pushedApart(wanted, 14, top + 6, bottom).forEach((y, row) => {
      const end = ends[row];
      if (!end) return;
      const [index] = shown[row];
      const lead = path([[end.x + 5, end.y], [width - right + 6, y], [width - right + 12, y]], { stroke: looks[index].color, class: "lead" });
      layers.get(index).append(lead, text(looks[index].name, width - right + 16, y + 4, { class: "label" }));
    });
  }
  host.append(root);
  return { root, points: found };
}
