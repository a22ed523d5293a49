"use strict";
(async () => {
  const themes = JSON.parse(document.getElementById("themes").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const plots = [...document.querySelectorAll(".plot")];
  const packed = document.getElementById("plotly");
  try {
    const bytes = Uint8Array.from(atob(packed.textContent), (character) => character.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    const script = document.createElement("script");
    script.textContent = await new Response(stream).text();
    document.head.append(script);
    packed.remove();
  } catch (fault) {
    document.getElementById("no-figures").hidden = false;
    plots.forEach((plot) => { plot.style.height = "auto"; });
    throw fault;
  }
  const config = {
    responsive: true,
    displaylogo: false,
    displayModeBar: false,
    scrollZoom: false,
  };
  const themed = (layout, name) => ({
    ...layout,
    template: themes[name],
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
  });
  const current = () => (dark.matches ? "dark" : "light");
  const draw = (plot, name = current()) => {
    plot.drawn ??= JSON.parse(document.getElementById(`data-${plot.dataset.figure}`).textContent);
    return Plotly.react(plot, plot.drawn.data, themed(plot.drawn.layout, name), config);
  };
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting) {
        seen.unobserve(entry.target);
        draw(entry.target);
      }
    }
  }, { rootMargin: "800px" });
  plots.forEach((plot) => seen.observe(plot));
  dark.addEventListener("change", () => plots.filter((plot) => plot.drawn).forEach((plot) => draw(plot)));
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((part) => { part.open = true; }));
  addEventListener("beforeprint", () => plots.forEach((plot) => draw(plot, "light")));
  addEventListener("afterprint", () => plots.forEach((plot) => draw(plot)));
})();
