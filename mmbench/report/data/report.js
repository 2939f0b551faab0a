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

// ---------------------------------------------------------------- players in step
const NEAR = 0.02, FAR = 0.25;  // seconds: below, nothing is done; above, a jump; between, a little faster or slower
let playing = null;

class Row {
  constructor(videos, seconds, scrub, button) {
    Object.assign(this, { videos, seconds, scrub, button });
    scrub.addEventListener("input", () => { for (const v of videos) v.currentTime = Math.min(scrub.value, v.duration || 0); });
    button.addEventListener("click", () => (playing === this ? this.stop() : this.start()));
    videos.forEach((v) => v.addEventListener("click", () => this.hear(v)));
  }
  hear(one) {
    for (const v of this.videos) { v.muted = v !== one; v.classList.toggle("heard", v === one); }
  }
  start() {
    if (playing) playing.stop();
    playing = this;
    this.button.textContent = "pause";
    if (!this.videos.some((v) => v.classList.contains("heard"))) this.hear(this.videos[0]);
    if (this.videos[0].ended) for (const v of this.videos) v.currentTime = 0;
    this.speed();
    Promise.all(this.videos.map((v) => v.play())).catch(() => this.stop());
    this.timer = setInterval(() => this.step(), 50);
  }
  stop() {
    clearInterval(this.timer);
    playing = null;
    this.button.textContent = "play";
    for (const v of this.videos) v.pause();
  }
  speed() {
    this.rate = Number(find("controls").speed.value);
    for (const v of this.videos) v.playbackRate = this.rate;
  }
  step() {
    const master = this.videos[0];
    this.scrub.value = master.currentTime;
    if (master.ended) {
      if (!find("controls").loop.checked) return this.stop();
      for (const v of this.videos) { v.currentTime = 0; v.playbackRate = this.rate; v.play(); }
      return;
    }
    for (const v of this.videos.slice(1)) {
      if (v.ended || v.seeking) continue;  // a shorter clip waits for the others
      const behind = master.currentTime - v.currentTime;
      if (Math.abs(behind) > FAR) v.currentTime = Math.min(master.currentTime, v.duration);
      v.playbackRate = Math.abs(behind) < NEAR ? this.rate : this.rate * (1 + Math.max(-0.2, Math.min(0.2, 2 * behind)));
    }
  }
}

function cursor(video, line, seconds) {
  const move = () => { line.style.left = `${100 * Math.min(1, video.currentTime / seconds)}%`; };
  video.addEventListener("timeupdate", move);
  video.addEventListener("seeking", move);
  const follow = () => { move(); if (!video.paused) requestAnimationFrame(follow); };
  video.addEventListener("play", follow);
}

// ---------------------------------------------------------------- the browser of samples
const SIZE = 8, form = find("controls");
let order = [], page = 0;
form.metric.append(...metrics.map((m) => option(m)));
for (const select of [form.system, form.other]) select.append(...REPORT.systems.map((s, k) => option(s, k)));
form.system.selectedIndex = Math.min(1, REPORT.systems.length - 1);

function choose() {
  const words = form.find.value.toLowerCase().split(/\s+/).filter(Boolean);
  order = REPORT.rows.map((_, r) => r).filter((r) => words.every((w) => REPORT.rows[r].text.toLowerCase().includes(w)));
  const by = form.order.value, scores = REPORT.scores[form.metric.value];
  if (by === "random") {
    let state = 88172645;  // the same order each time, so that two readers see the same
    const key = order.map(() => (state = (state * 1103515245 + 12345) % 2147483648));
    order = order.map((r, i) => [key[i], r]).sort((a, b) => a[0] - b[0]).map((p) => p[1]);
  } else if (by !== "made" && scores) {
    const a = scores[form.system.value], b = scores[form.other.value];
    const sign = (REPORT.higher[form.metric.value] ? 1 : -1) * (by === "wins" ? 1 : -1);
    const gain = (r) => (a[r] === null || b[r] === null ? -Infinity : sign * (a[r] - b[r]));
    order = order.filter((r) => gain(r) > -Infinity).sort((r, s) => gain(s) - gain(r));
  }
  page = 0;
  show();
}

function figure(row, k) {
  const about = REPORT.rows[row].clips[k], caption = make("figcaption", { className: `set-${k}` });
  caption.append(make("span", { className: "dot" }), ` ${k + 1} ${REPORT.systems[k]}`);
  if (!about) return [make("figure", {}, caption, make("p", { className: "soft", textContent: "no sample" }))];
  if (about.unreadable) return [make("figure", {}, caption, make("p", { className: "warning", textContent: about.unreadable }))];
  const stem = `clips/${about.file}`;
  const video = make("video", { src: media(`${stem}.mp4`), preload: "auto", muted: true, playsInline: true,
    className: `set-${k}`, tabIndex: 0 });
  video.setAttribute("aria-label", `${REPORT.systems[k]}: ${REPORT.rows[row].text}`);
  const line = make("i", { className: "now" });
  const marks = ["onsets", "motion"].flatMap((kind) => about[kind].map((t) => {
    const mark = make("i", { className: kind === "onsets" ? "onset" : "motion", title: `${kind} ${t} s` });
    mark.style.left = `${100 * t / about.seconds}%`;
    return mark;
  }));
  const told = `waveform and spectrogram; onsets at ${about.onsets.join(", ") || "no time"} s, motion at ${about.motion.join(", ") || "no time"} s`;
  const sound = make("div", { className: "sound" }, make("img", { src: media(`${stem}.png`), alt: told, loading: "lazy" }), ...marks, line);
  cursor(video, line, about.seconds);
  const values = make("dl", { className: "scores" });
  for (const metric of metrics) {
    const value = REPORT.scores[metric][k][row];
    values.append(make("dt", { textContent: metric }), make("dd", { textContent: value === null ? "unscored" : value.toFixed(3) }));
  }
  return [make("figure", {}, caption, video, sound, values), video, about.seconds];
}

function show() {
  if (playing) playing.stop();
  const pages = Math.max(1, Math.ceil(order.length / SIZE));
  find("found").textContent = `${order.length} of ${REPORT.rows.length} samples.`;
  find("place").textContent = `page ${page + 1} of ${pages}`;
  find("earlier").disabled = page === 0;
  find("later").disabled = page + 1 >= pages;
  for (const video of find("rows").querySelectorAll("video")) { video.removeAttribute("src"); video.load(); }  // frees its memory
  find("rows").replaceChildren(...order.slice(page * SIZE, (page + 1) * SIZE).map((r) => {
    const parts = REPORT.systems.map((_, k) => figure(r, k)), clips = make("div", { className: "clips" }, ...parts.map((p) => p[0]));
    const videos = parts.filter((p) => p[1]), title = make("h3", { textContent: `${REPORT.rows[r].id}  ${REPORT.rows[r].text}` });
    const button = make("button", { type: "button", textContent: "play", disabled: !videos.length });
    const seconds = Math.max(0.1, ...videos.map((p) => p[2]));
    const scrub = make("input", { type: "range", min: 0, max: seconds, step: 0.01, value: 0 });
    scrub.setAttribute("aria-label", "time");
    const section = make("section", { className: "row" }, title, make("div", { className: "controls" }, button, scrub), clips);
    if (videos.length) section.player = new Row(videos.map((p) => p[1]), seconds, scrub, button);
    return section;
  }));
}

for (const name of ["order", "metric", "system", "other"]) form[name].addEventListener("change", choose);
form.find.addEventListener("input", choose);
form.speed.addEventListener("change", () => playing && playing.speed());
form.addEventListener("submit", (event) => event.preventDefault());
find("earlier").addEventListener("click", () => { page -= 1; show(); find("samples-title").scrollIntoView(); });
find("later").addEventListener("click", () => { page += 1; show(); find("samples-title").scrollIntoView(); });
document.addEventListener("keydown", (event) => {
  if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) || event.ctrlKey || event.metaKey || !playing) return;
  if (event.key === " ") { event.preventDefault(); playing.stop(); }
  const video = playing && playing.videos[Number(event.key) - 1];
  if (video) playing.hear(video);
});
choose();
