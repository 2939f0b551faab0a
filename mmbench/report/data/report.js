// ---------------------------------------------------------------- two metrics
const metrics = Object.keys(REPORT.scores), SVG = "http://www.w3.org/2000/svg";
const media = (file) => (typeof MEDIA === "undefined" ? file : MEDIA[file]);  // a page of one file holds its clips
const option = (text, value = text) => make("option", { textContent: text, value });

function drawScatter() {
  const across = REPORT.scores[find("scatter-x").value], up = REPORT.scores[find("scatter-y").value];
  const plane = document.querySelector("#scatter svg"), pairs = [];
  REPORT.systems.forEach((_, k) => across[k].forEach((x, r) => {
    if (x !== null && up[k][r] !== null) pairs.push([k, x, up[k][r]]);
  }));
  const range = (i) => { const v = pairs.map((p) => p[i]); return [v.reduce((a, b) => Math.min(a, b), Infinity),
    v.reduce((a, b) => Math.max(a, b), -Infinity)]; };
  const [left, right] = range(1), [low, high] = range(2);
  const x = (v) => (70 + 430 * (v - left) / (right - left || 1)).toFixed(1);
  const y = (v) => (310 - 295 * (v - low) / (high - low || 1)).toFixed(1);
  const path = (k) => pairs.filter((p) => p[0] === k).map((p) => `M${x(p[1])} ${y(p[2])}h0`).join("");
  const draw = (name, given, text = "") => {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(given)) element.setAttribute(key, value);
    element.textContent = text;
    return element;
  };
  const short = (v) => Number(v.toPrecision(3)).toString();
  plane.replaceChildren(...REPORT.systems.map((_, k) => draw("path", { class: `set-${k}`, d: path(k) })),
    draw("text", { x: 70, y: 332 }, short(left)), draw("text", { x: 500, y: 332 }, short(right)),
    draw("text", { class: "up", x: 58, y: 314 }, short(low)), draw("text", { class: "up", x: 58, y: 20 }, short(high)));
  find("scatter-told").textContent = `${pairs.length} samples of ${REPORT.systems.length} sets.`;
}
if (metrics.length > 1) {
  find("scatter").hidden = false;
  for (const id of ["scatter-x", "scatter-y"]) {
    find(id).append(...metrics.map((m) => option(m)));
    find(id).addEventListener("change", drawScatter);
  }
  find("scatter-y").selectedIndex = 1;
  drawScatter();
}
