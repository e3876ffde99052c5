// Draws every figure[data-chart]: fetches an ECharts option, turns "var(--name)" into the colour of the page's
// theme, and keeps the chart readable by keyboard and screen reader. Nothing else decides what a chart shows:
// the server does (web/charts.py).

const root = document.documentElement;
const drawn = new Map();

const token = (text) =>
  text.replace(/var\((--[\w-]+)\)/g, (_, name) => getComputedStyle(root).getPropertyValue(name).trim());

function themed(value) {
  if (typeof value === "string") return value.includes("var(--") ? token(value) : value;
  if (Array.isArray(value)) return value.length > 400 ? value : value.map(themed);
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, themed(inner)]));
  }
  return value;
}

function complete(option) {
  const font = getComputedStyle(document.body).fontFamily;
  const ink = token("var(--ink-2)");
  return {
    animation: false,
    backgroundColor: "transparent",
    textStyle: { fontFamily: font, color: ink },
    aria: { enabled: true, decal: { show: false } },
    // Rich text, because the security policy of the page allows no inline styles.
    tooltip: { renderMode: "richText", confine: true, ...(option.tooltip || {}) },
    ...Object.fromEntries(Object.entries(option).filter(([key]) => key !== "tooltip")),
  };
}

async function draw(figure) {
  const canvas = figure.querySelector(".canvas");
  try {
    const answer = await fetch(figure.dataset.chart, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(`${answer.status}`);
    const option = await answer.json();
    const chart = drawn.get(figure)?.chart || (canvas.replaceChildren(), echarts.init(canvas, null, { renderer: "canvas", locale: root.lang.startsWith("zh") ? "ZH" : "EN" }));
    drawn.set(figure, { chart, option });
    chart.setOption(complete(themed(option)), true);
    // The caption names the chart; ECharts' own description tells what is in it.
    const said = canvas.querySelector("[aria-label]")?.getAttribute("aria-label") || canvas.getAttribute("aria-label");
    canvas.setAttribute("aria-label", said);
    figure.dataset.drawn = "yes";
  } catch (error) {
    figure.querySelector(".failed").hidden = false;
    figure.dataset.drawn = "failed";
  }
}

const seen = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      seen.unobserve(entry.target);
      draw(entry.target);
    }
  },
  { rootMargin: "300px" },
);

function look(within) {
  for (const figure of within.querySelectorAll("figure[data-chart]:not([data-drawn])")) seen.observe(figure);
}

new ResizeObserver(() => drawn.forEach(({ chart }) => chart.resize())).observe(document.body);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () =>
  drawn.forEach(({ chart, option }) => chart.setOption(complete(themed(option)), true)),
);
document.addEventListener("htmx:afterSwap", (event) => look(event.target));
look(document);
// Paper shows every chart, also those that nobody has scrolled to.
addEventListener("beforeprint", () => document.querySelectorAll("figure[data-chart]:not([data-drawn])").forEach(draw));
