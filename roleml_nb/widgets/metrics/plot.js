// A Plotly figure. The kernel has Plotly, and is asked for it once for all figures of a page.

import { openView, tag } from "../base/common.js";

const PLOTLY = Symbol.for("roleml_nb.plotly"); // the promise of it, a property of `window`

async function fetchPlotly(view) {
  const closed = new Promise((_, reject) => {
    view.signal.addEventListener("abort", () => reject(new Error("the view was closed")));
  });
  const source = await Promise.race([view.request("plotly"), closed]);
  const url = URL.createObjectURL(
    new Blob([`const module = undefined;\n${source}\nexport default window.Plotly;`], {
      type: "text/javascript"
    })
  );
  return (await import(url)).default;
}

// Return Plotly, null if the view is closed first. When the view that has requested it gets no
// answer, the next view requests it.
async function loadPlotly(view) {
  while (!view.signal.aborted) {
    window[PLOTLY] ??= fetchPlotly(view);
    const loading = window[PLOTLY];
    try {
      return await loading;
    } catch {
      if (window[PLOTLY] === loading) delete window[PLOTLY];
    }
  }
  return null;
}

export default () => ({
  render({ model, el }) {
    const view = openView({ model, el }, "plot");
    const chart = tag("div"); // outside of the shadow root, where Plotly's style is
    el.append(chart);
    view.root.append(tag("slot"));
    loadPlotly(view).then((Plotly) => {
      if (view.signal.aborted || !Plotly) return;
      view.onTrait("_figure", (figure) => {
        const { data, layout } = JSON.parse(figure);
        Plotly.react(chart, data, layout, { displayModeBar: false });
      });
      const observer = new ResizeObserver(() => chart.offsetWidth && Plotly.Plots.resize(chart));
      observer.observe(el);
      view.signal.addEventListener("abort", () => {
        observer.disconnect();
        Plotly.purge(chart);
      });
    });
    return view.close;
  }
});
