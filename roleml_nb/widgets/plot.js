// A Plotly figure. Plotly comes as a trait and is loaded once for all figures of a page, after the widget has begun.

const PLOTLY = Symbol.for("roleml_nb.plotly");

// Plotly itself, out of its source.
function plotly(source) {
  window[PLOTLY] ??= (async () => {
    const url = URL.createObjectURL(new Blob([`const module = undefined;\n${source}\nexport default window.Plotly;`], { type: "text/javascript" }));
    return (await import(url)).default;
  })();
  return window[PLOTLY];
}

export default () => ({
  render({ model, el }) {
    const view = openView({ model, el }, "plot");
    const chart = tag("div"); // outside of the shadow root, where Plotly's style is
    el.append(chart);
    view.root.append(tag("slot"));
    plotly(model.get("_plotly")).then((Plotly) => {
      if (view.signal.aborted) return;
      view.follow("_figure", (figure) => {
        const { data, layout } = JSON.parse(figure);
        Plotly.react(chart, data, layout, { displaylogo: false });
      });
      const observer = new ResizeObserver(() => chart.offsetWidth && Plotly.Plots.resize(chart));
      observer.observe(el);
      view.signal.addEventListener("abort", () => { observer.disconnect(); Plotly.purge(chart); });
    });
    return view.close;
  },
});
