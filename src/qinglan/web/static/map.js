// Draws every figure[data-map]: prefectures and counties of ours, and points from the server on top.
// Each level has its own size and letter beside its colour, so that colour alone never says it.

import { Map as Chart, Marker, NavigationControl, ScaleControl, setWorkerUrl } from "./vendor/maplibre-gl.mjs";

const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const bounds = (features) => {
  const box = [180, 90, -180, -90];
  const walk = (c) => {
    if (typeof c[0] !== "number") return c.forEach(walk);
    box[0] = Math.min(box[0], c[0]); box[1] = Math.min(box[1], c[1]);
    box[2] = Math.max(box[2], c[0]); box[3] = Math.max(box[3], c[1]);
  };
  features.forEach((feature) => walk(feature.geometry.coordinates));
  return box;
};

const get = async (address) => {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
  return answer.json();
};

function point(feature) {
  const { level, aqi, label, href, kind } = feature.properties;
  const made = document.createElement(href ? "a" : "span");
  if (href) made.href = href;
  made.className = `dot lv${level || 0} k-${kind || "station"}`;
  made.textContent = aqi ?? "–";
  made.title = label;
  made.setAttribute("aria-label", label);
  return made;
}

async function draw(figure) {
  const canvas = figure.querySelector(".canvas");
  try {
    const [prefectures, counties, points] = await Promise.all(
      [figure.dataset.prefectures, figure.dataset.counties, figure.dataset.map].map(get),
    );
    canvas.replaceChildren();
    setWorkerUrl(figure.dataset.worker);
    const line = css("--line-2");
    const map = new Chart({
      container: canvas,
      bounds: bounds(prefectures.features),
      fitBoundsOptions: { padding: 24 },
      attributionControl: false,
      dragRotate: false,
      pitchWithRotate: false,
      cooperativeGestures: false,
      scrollZoom: false,
      style: {
        version: 8,
        sources: {
          prefectures: { type: "geojson", data: prefectures },
          counties: { type: "geojson", data: counties },
        },
        layers: [
          { id: "ground", type: "background", paint: { "background-color": css("--paper") } },
          { id: "land", type: "fill", source: "prefectures", paint: { "fill-color": css("--card") } },
          { id: "county", type: "line", source: "counties", paint: { "line-color": line, "line-width": 0.6, "line-dasharray": [3, 2] } },
          { id: "prefecture", type: "line", source: "prefectures", paint: { "line-color": css("--ink-3"), "line-width": 1.4 } },
        ],
      },
    });
    map.addControl(new NavigationControl({ showCompass: false }), "top-right");
    map.addControl(new ScaleControl({ unit: "metric" }), "bottom-left");
    canvas.querySelector(".maplibregl-ctrl-zoom-in")?.setAttribute("aria-label", figure.dataset.zoomIn);
    canvas.querySelector(".maplibregl-ctrl-zoom-out")?.setAttribute("aria-label", figure.dataset.zoomOut);
    // Lines and outlines (bare land, zones): drawn under the marks, those with a fault in red.
    const flat = (collection) => ({ type: "FeatureCollection", features: collection.features.filter((f) => f.geometry && f.geometry.type !== "Point") });
    if (flat(points).features.length) {
      await new Promise((ready) => (map.isStyleLoaded() ? ready() : map.once("load", ready)));
      const colour = ["case", [">", ["get", "level"], 0], css("--bad"), css("--accent")];
      map.addSource("shapes", { type: "geojson", data: flat(points) });
      // Cells say how strongly they emit: shaded by it, without an outline, so that neighbours join.
      const shaded = ["has", "strength"];
      map.addLayer({ id: "area", type: "fill", source: "shapes", filter: ["==", ["geometry-type"], "Polygon"], paint: { "fill-color": colour, "fill-opacity": ["case", shaded, ["get", "strength"], 0.18], "fill-antialias": false } });
      map.addLayer({ id: "outline", type: "line", source: "shapes", filter: ["!", shaded], paint: { "line-color": colour, "line-width": 1.6 } });
      map.on("click", "area", (event) => { const { href } = event.features[0].properties; if (href) location.assign(href); });
      map.on("mousemove", "area", (event) => { const { href, label } = event.features[0].properties; map.getCanvas().style.cursor = href ? "pointer" : ""; canvas.title = label ?? ""; });
      map.on("mouseleave", "area", () => { map.getCanvas().style.cursor = ""; canvas.title = ""; });
    }
    let marks = [];
    const show = (collection) => {
      marks.forEach((mark) => mark.remove());
      // Places are drawn last, so that their numbers lie over those of their stations.
      const ordered = [...collection.features].sort((a, b) => (a.properties.kind === "place") - (b.properties.kind === "place"));
      marks = ordered
        .filter((feature) => feature.geometry?.type === "Point")
        .map((feature) => new Marker({ element: point(feature) }).setLngLat(feature.geometry.coordinates).addTo(map));
    };
    show(points);
    figure.addEventListener("qinglan:points", async (event) => show(await get(event.detail)));
    figure.dataset.drawn = "yes";
  } catch (error) {
    figure.querySelector(".failed").hidden = false;
    figure.dataset.drawn = "failed";
  }
}

document.querySelectorAll("figure[data-map]").forEach(draw);

// A slider over the hours, [data-hours] = JSON list of addresses: swaps the points without leaving the page.
for (const slider of document.querySelectorAll("input[data-hours]")) {
  const hours = JSON.parse(slider.dataset.hours);
  const said = document.getElementById(slider.dataset.says);
  const figure = document.getElementById(slider.dataset.figure);
  slider.addEventListener("input", () => {
    const [text, address] = hours[slider.value];
    said.textContent = text;
    slider.setAttribute("aria-valuetext", text);
    figure.dispatchEvent(new CustomEvent("qinglan:points", { detail: address }));
  });
}
