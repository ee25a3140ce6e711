"use strict";
(() => {
  const PRINT_WIDTH = 680; // CSS pixels of A4 and Letter between the margins
  const specs = new Map();
  const plot = (key) => document.getElementById(`plot-${key}`);

  const colours = () => {
    const style = getComputedStyle(document.documentElement);
    const get = (name) => style.getPropertyValue(name).trim();
    return { text: get("--text"), line: get("--line"), grid: get("--grid"), surface: get("--surface") };
  };

  const theme = (layout) => {
    const c = colours();
    const patch = {
      "font.color": c.text,
      "modebar.bgcolor": "rgba(0, 0, 0, 0)",
      "modebar.color": c.line,
      "modebar.activecolor": c.text,
      "hoverlabel.bgcolor": c.surface,
      "hoverlabel.bordercolor": c.line,
      "hoverlabel.font.color": c.text,
    };
    const axes = Object.keys(layout).filter((key) => /^[xy]axis\d*$/.test(key));
    if (layout.scene) axes.push("scene.xaxis", "scene.yaxis", "scene.zaxis");
    for (const axis of axes) {
      patch[`${axis}.gridcolor`] = c.grid;
      patch[`${axis}.zerolinecolor`] = c.grid;
      patch[`${axis}.linecolor`] = c.line;
      patch[`${axis}.color`] = c.text;
    }
    return patch;
  };

  const redraw = () => {
    const printing = document.documentElement.hasAttribute("data-print");
    for (const [key, spec] of specs) {
      const size = printing ? { width: PRINT_WIDTH } : { width: null, autosize: true };
      Plotly.relayout(plot(key), { ...theme(spec.layout), ...size });
    }
  };

  const show = (button) => {
    const { figure, view } = button.dataset;
    const { visible, layout } = specs.get(figure).views[Number(view)];
    Plotly.update(plot(figure), { visible }, layout);
    for (const other of button.parentElement.children) {
      other.setAttribute("aria-pressed", String(other === button));
    }
  };

  const config = {
    responsive: true,
    displaylogo: false,
    showSendToCloud: false, // plotly.js 4 offers to upload the chart unless it is told not to
    plotlyServerURL: "",
    toImageButtonOptions: { format: "svg" },
    modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d", "zoomIn2d", "zoomOut2d", "pan2d"],
  };
  const drawing = [];
  for (const element of document.querySelectorAll("script.figure")) {
    const { key } = element.dataset;
    const spec = JSON.parse(element.textContent);
    specs.set(key, spec);
    drawing.push(
      Plotly.newPlot(plot(key), spec.data, spec.layout, config)
        .then(() => Plotly.relayout(plot(key), theme(spec.layout))),
    );
  }
  Promise.all(drawing).then(() => document.documentElement.setAttribute("data-drawn", ""));

  for (const button of document.querySelectorAll(".views button")) {
    button.addEventListener("click", () => show(button));
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  addEventListener("beforeprint", () => {
    document.documentElement.setAttribute("data-print", "");
    redraw();
  });
  addEventListener("afterprint", () => {
    document.documentElement.removeAttribute("data-print");
    redraw();
  });
})();
