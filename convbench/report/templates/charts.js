// The charts of a run: what is shown, of whom, where, on which scales; and what a point says when it is pointed at.
function startCharts(host) {
  const data = JSON.parse(document.getElementById("chart-data").textContent);
  const looks = data.algorithms;
  const state = { quantity: 0, place: 0, panel: 0, logX: true, logY: true, chosen: new Set(looks.map((_, index) => index)) };
  const quantities = [...new Set(data.views.map((view) => view.quantity))];
  const places = [...new Set(data.views.map((view) => view.place))];
  const element = (name, attributes = {}, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  };

  const controls = element("div", { class: "controls" });
  const stage = element("div", { class: "panels" });
  const note = element("p", { class: "small" });
  const told = element("div", { class: "tooltip", role: "status", "aria-live": "polite" });
  told.hidden = true;
  host.replaceChildren(controls, stage, note, told);

  const choice = (legend, names, key) => {
    const field = element("fieldset", { class: "choice" }, element("legend", {}, legend));
    names.forEach((name, index) => {
      const input = element("input", { type: "radio", name: `chart-${key}`, value: index });
      input.checked = state[key] === index;
      input.addEventListener("change", () => { state[key] = index; state.panel = 0; draw(); });
      field.append(element("label", {}, input, element("span", {}, name)));
    });
    return field;
  };
  controls.append(choice("Show", quantities, "quantity"));
  if (places.length > 1) controls.append(choice("At", places, "place"));

  const scales = element("fieldset", { class: "choice" }, element("legend", {}, "Scales"));
  const boxes = {};
  for (const [key, name] of [["logY", "logarithmic values"], ["logX", "logarithmic axis"]]) {
    const input = element("input", { type: "checkbox" });
    input.checked = state[key];
    input.addEventListener("change", () => { state[key] = input.checked; draw(); });
    boxes[key] = element("label", {}, input, element("span", {}, name));
    scales.append(boxes[key]);
  }
  controls.append(scales);

  const legend = element("fieldset", { class: "legend" }, element("legend", {}, "Algorithms"));
  const ticks = looks.map((look, index) => {
    const input = element("input", { type: "checkbox" });
    input.checked = true;
    input.addEventListener("change", () => {
      if (input.checked) state.chosen.add(index); else state.chosen.delete(index);
      draw();
    });
    const key = svg("svg", { width: 22, height: 12, "aria-hidden": "true" });
    key.append(svg("line", { x1: 0, x2: 22, y1: 6, y2: 6, stroke: look.color, "stroke-width": 1.6, ...(look.dashed ? { "stroke-dasharray": "5 3" } : {}) }), marker(look, 11, 6, false));
    const label = element("label", { title: "double click: this one alone" }, input, key, element("span", {}, look.name));
    label.addEventListener("dblclick", (event) => { event.preventDefault(); choose([index]); });
    if (look.timed) legend.append(label);
    return input;
  });
  const choose = (indices) => {
    state.chosen = new Set(indices);
    ticks.forEach((input, index) => { input.checked = state.chosen.has(index); });
    draw();
  };
  const every = looks.map((_, index) => index);
  for (const [name, some] of [["all", every], ["none", []], ["those that lead anywhere", every.filter((index) => looks[index].leads)]]) {
    const button = element("button", { type: "button" }, name);
    button.addEventListener("click", () => choose(some));
    legend.append(button);
  }
  controls.append(legend);

  const picker = element("select", { "aria-label": "Which cell" });
  picker.addEventListener("change", () => { state.panel = Number(picker.value); draw(); });

  function words(view, panel, point) {
    const [x, y, low, high, passes, cell, filled, more] = point.raw;
    const [name, best] = data.cells[cell];
    const parts = [looks[point.index].name, name, `${view.says}: ${y <= 0 && view.y.zero ? view.y.zero : inUnit(y, view.y.unit, 3)}`];
    if (low !== null) parts.push(`95 %: ${inUnit(low, view.y.unit, 3)} – ${inUnit(high, view.y.unit, 3)}`);
    if (view.kind === "scatter") parts.push(`${view.x.label}: ${inUnit(x, view.x.unit, 3)}`);
    if (view.key === "time" && best) parts.push(`${inUnit(y / best, "factor", 3)} the time of the fastest`);
    if (more) parts.push(more);
    if (passes !== null) parts.push(passes === 1 ? "one pass" : `${passes} passes`);
    return parts;
  }

  function point(view, panel, drawn, host) {
    let current = null;
    const select = (chosen) => {
      if (chosen === current) return;
      current = chosen;
      host.classList.toggle("pointing", chosen !== null);
      for (const layer of drawn.root.querySelectorAll(".series")) layer.classList.toggle("pointed", layer === chosen?.layer);
      drawn.root.querySelector(".halo")?.remove();
      told.hidden = chosen === null;
      if (!chosen) return;
      drawn.root.append(svg("circle", { cx: chosen.x, cy: chosen.y, r: 8, class: "halo", stroke: looks[chosen.index].color }));
      const [first, ...rest] = words(view, panel, chosen);
      told.replaceChildren(element("b", {}, first), ...rest.map((part) => element("div", {}, part)));
      const [outer, inner] = [stage.parentElement.getBoundingClientRect(), drawn.root.getBoundingClientRect()];
      const [x, y] = [inner.left - outer.left + chosen.x, inner.top - outer.top + chosen.y];
      told.style.left = `${Math.max(0, Math.min(x + 14, outer.width - told.offsetWidth - 4))}px`;
      told.style.top = `${y + (chosen.y > 130 ? -told.offsetHeight - 14 : 16)}px`;
    };
    drawn.root.addEventListener("pointermove", (event) => {
      const box = drawn.root.getBoundingClientRect();
      const [x, y] = [event.clientX - box.left, event.clientY - box.top];
      let [nearest, least] = [null, 45];
      for (const one of drawn.points) {
        const distance = Math.hypot(one.x - x, one.y - y);
        if (distance < least) [nearest, least] = [one, distance];
      }
      select(nearest);
    });
    drawn.root.addEventListener("pointerleave", () => select(null));
    drawn.root.addEventListener("blur", () => select(null));
    drawn.root.addEventListener("keydown", (event) => {
      const along = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      const between = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (event.key === "Escape") return select(null);
      if ((along === undefined && between === undefined) || !drawn.points.length) return;
      event.preventDefault();
      if (!current) return select(drawn.points[0]);
      const own = drawn.points.filter((one) => one.index === current.index);
      if (along) return select(own[(own.indexOf(current) + along + own.length) % own.length]);
      // Up and down: to the neighbour by its height, at the same place of the axis.
      const column = drawn.points.filter((one) => Math.abs(one.x - current.x) < 1 || one.raw[0] === current.raw[0]).sort((a, b) => a.y - b.y);
      select(column[(column.indexOf(current) + between + column.length) % column.length]);
    });
  }

  function draw() {
    told.hidden = true;
    const found = data.views.filter((one) => one.quantity === quantities[state.quantity]);
    const views = found.filter((one) => one.place === places[state.place]);
    stage.replaceChildren();
    note.textContent = found[0]?.note ?? "";
    boxes.logX.hidden = !views.some((view) => view.kind !== "dots");
    if (!views.length) stage.append(element("p", {}, `Nothing of this was measured at ${places[state.place]}.`));
    for (const view of views) {
      if (view.pick) {
        picker.replaceChildren(...view.panels.map((panel, index) => element("option", { value: index }, panel.title)));
        picker.value = state.panel;
        stage.append(element("p", { class: "pick" }, "Of ", picker));
      }
      const panels = view.pick ? [view.panels[state.panel]] : view.panels;
      const wide = view.kind === "dots" || panels.length === 1;
      const grid = element("div", { class: wide ? "multiples one" : "multiples" });
      stage.append(grid);
      const shared = view.y.shared
        ? panels.flatMap((panel) => visible(panel, state.chosen)).flatMap(([, points]) => points.map(([, y]) => (y <= 0 && state.logY ? view.y.floor : y)))
        : undefined;
      const options = { logX: state.logX, logY: state.logY, shared: shared?.length ? shared : undefined };
      const figures = panels.map((panel) => {
        const figure = element("figure", { class: "panel" });
        if (panel.title && !view.pick) figure.append(element("figcaption", {}, panel.title));
        return figure;
      });
      grid.append(...figures); // all of them before any is drawn: their number decides their width
      figures.forEach((figure, index) => {
        point(view, panels[index], drawPanel(figure, panels[index], view, looks, state.chosen, options), figure);
      });
    }
  }

  let width = 0;
  new ResizeObserver(() => {
    if (Math.abs(stage.clientWidth - width) > 8) {
      width = stage.clientWidth;
      draw();
    }
  }).observe(stage);
}

for (const host of document.querySelectorAll(".charts")) startCharts(host);
