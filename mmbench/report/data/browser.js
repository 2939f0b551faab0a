// ---------------------------------------------------------------- which samples, in which order
const SIZE = 8, form = find("controls"), labels = Object.keys(REPORT.labels);
let order = [], page = 0;
form.metric.append(...metrics.map((m) => option(m)));
for (const select of [form.system, form.other]) select.append(...REPORT.systems.map((s, k) => option(s, k)));
form.system.selectedIndex = Math.min(1, REPORT.systems.length - 1);
if (!metrics.length || REPORT.systems.length < 2) for (const part of document.querySelectorAll(".versus")) part.hidden = true;

const groups = labels.map((label, number) => {  // a select per column, with counts
  const counts = new Map();
  for (const group of REPORT.labels[label]) counts.set(group, (counts.get(group) || 0) + 1);
  const select = make("select", { name: `label-${number}` }, option("all", ""),
    ...[...counts.keys()].sort((a, b) => a.localeCompare(b, "en", { numeric: true }))
      .map((group) => option(`${group || "none"} (${counts.get(group)})`, `=${group}`)));
  find("groups").append(make("label", {}, `${label} `, select));
  select.addEventListener("change", choose);
  return [REPORT.labels[label], select];
});

function draw(seed) {  // a number for each row, the same at each visit, so that two readers see the same order
  let x = Math.imul(seed + 1, 0x9e3779b1);
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

/** By how much a set is better than the other one on a sample: positive is better; null where one has no value. */
function gain(metric, k, other, row) {
  const a = REPORT.scores[metric][k][row], b = REPORT.scores[metric][other][row];
  return a === null || b === null ? null : (REPORT.higher[metric] ? 1 : -1) * (a - b);
}

function choose() {
  const words = form.find.value.toLowerCase().split(/\s+/).filter(Boolean), by = form.order.value;
  const wanted = groups.filter(([, select]) => select.value).map(([values, select]) => [values, select.value.slice(1)]);
  order = REPORT.rows.map((_, r) => r).filter((r) => {
    const text = `${REPORT.rows[r].id} ${REPORT.rows[r].text}`.toLowerCase();
    return words.every((word) => text.includes(word)) && wanted.every(([values, group]) => values[r] === group);
  });
  let told = `${order.length} of ${REPORT.rows.length} samples`;
  if (by === "random") order.sort((a, b) => draw(a) - draw(b));
  if (by === "wins" || by === "losses") {
    const sign = by === "wins" ? 1 : -1, of = Number(form.system.value), over = Number(form.other.value);
    const gains = new Map(order.map((r) => [r, gain(form.metric.value, of, over, r)]));
    order = order.filter((r) => gains.get(r) !== null).sort((a, b) => sign * (gains.get(b) - gains.get(a)));
    const better = order.filter((r) => gains.get(r) > 0).length, worse = order.filter((r) => gains.get(r) < 0).length;
    told = `${order.length} of ${REPORT.rows.length} samples: ${REPORT.systems[of]} is better on ${better} and worse on ${worse}`;
  }
  find("found").textContent = `${told}.`;
  turn(0);
}

function turn(to) {
  page = to;
  const pages = Math.max(1, Math.ceil(order.length / SIZE));
  find("place").textContent = `page ${page + 1} of ${pages}`;
  find("earlier").disabled = page === 0;
  find("later").disabled = page + 1 >= pages;
  show(order.slice(page * SIZE, (page + 1) * SIZE));
}

// ---------------------------------------------------------------- rows
const near = new IntersectionObserver((entries) => {  // clips are loaded a screen ahead, and let go behind
  for (const { target, isIntersecting } of entries) (isIntersecting ? attach : release)(target);
}, { rootMargin: "100% 0px" });

function attach(row) {
  for (const video of row.querySelectorAll("video:not([src])")) video.src = video.dataset.src;
}
function release(row) {
  if (playing && playing === row.player) playing.stop();
  for (const video of row.querySelectorAll("video[src]")) { video.removeAttribute("src"); video.load(); }
}

function marks(about) {
  const mark = (kind, time, told) => {
    const line = make("i", { className: kind, title: `${told} ${time} s` });
    line.style.left = `${100 * time / about.seconds}%`;
    return line;
  };
  const truth = about.truth || {};
  return [...about.onsets.map((t) => mark("onset", t, "onset heard at")), ...about.motion.map((t) => mark("motion", t, "motion seen at")),
    ...(truth.audio || []).map((t) => mark("truth audio", t, `${REPORT.truth} of the sound:`)),
    ...(truth.video || []).map((t) => mark("truth video", t, `${REPORT.truth} of the video:`))];
}

function told(about) {
  const list = (times) => (times.length ? `${times.join(", ")} s` : "no time"), truth = about.truth || {};
  return `Waveform and spectrogram. Onsets at ${list(about.onsets)}; motion at ${list(about.motion)}${truth.audio
    ? `; ${REPORT.truth} of the sound at ${list(truth.audio)}` : ""}${truth.video ? `; ${REPORT.truth} of the video at ${list(truth.video)}` : ""}.`;
}

const signed = (x) => `${x < 0 ? "−" : "+"}${Math.abs(x).toFixed(3)}`;

function values(row, k) {
  const body = make("tbody"), other = Number(form.other.value);
  for (const metric of metrics) {
    const value = REPORT.scores[metric][k][row], better = k === other ? null : gain(metric, k, other, row);
    const by = better === null ? "" : signed(value - REPORT.scores[metric][other][row]);
    body.append(make("tr", {}, make("th", { scope: "row", textContent: metric }),
      make("td", { textContent: value === null ? "unscored" : value.toFixed(3) }),
      make("td", { textContent: by, className: better > 0 ? "better" : better < 0 ? "worse" : "",
        title: by && `against ${REPORT.systems[other]}: ${better > 0 ? "better" : better < 0 ? "worse" : "equal"}` })));
  }
  return make("table", { className: "scores" }, body);
}

function figure(row, k) {
  const about = REPORT.rows[row].clips[k], name = REPORT.systems[k], box = make("figure", { className: `set-${k}` });
  const title = [make("span", { className: "dot" }), ` ${k + 1} `, make("span", { className: "name", textContent: name })];
  if (!about || about.unreadable) {
    const why = make("p", { className: about ? "warning" : "soft", textContent: about ? about.unreadable : "no sample" });
    box.append(make("figcaption", {}, ...title), why);
    return { box };
  }
  const stem = `clips/${about.file}`, cursor = make("i", { className: "now" });
  const hearing = make("button", { type: "button", className: "hear" }, ...title);
  hearing.setAttribute("aria-label", `hear ${name}`);
  const video = make("video", { preload: "auto", muted: true, playsInline: true, hearing, cursor, seconds: about.seconds });
  video.dataset.src = media(`${stem}.mp4`);
  video.setAttribute("aria-label", `${name}: ${REPORT.rows[row].text}`);
  for (const one of [video, hearing]) one.addEventListener("click", (event) => {
    hear(k);
    if (event.detail) box.closest(".row").focus({ preventScroll: true });  // the keys are for this row from now on
  });
  const sound = make("div", { className: "sound" }, make("img", { src: media(`${stem}.png`), alt: told(about), loading: "lazy" }), ...marks(about), cursor);
  box.append(make("figcaption", {}, hearing), video, sound, values(row, k));
  return { box, video, about };
}

function show(rows) {
  near.disconnect();
  for (const old of find("rows").children) release(old);
  find("rows").replaceChildren(...rows.map((r) => {
    const { id, text } = REPORT.rows[r], parts = REPORT.systems.map((_, k) => figure(r, k));
    const there = parts.filter((part) => part.video), seconds = Math.max(0.1, ...there.map((part) => part.about.seconds));
    const button = make("button", { type: "button", className: "play", textContent: "play", disabled: !there.length });
    button.setAttribute("aria-label", `play ${id}`);
    const scrub = make("input", { type: "range", min: 0, max: seconds, step: 0.01, value: 0, disabled: !there.length });
    scrub.setAttribute("aria-label", "time [s]");
    const clock = make("output", { className: "soft", textContent: `0.00 / ${seconds.toFixed(2)} s` });
    const groups = labels.filter((l) => REPORT.labels[l][r]).map((l) => `${l} ${REPORT.labels[l][r]}`).join(" · ");
    const title = make("h3", {}, make("span", { className: "soft", textContent: id }), ` ${text} `,
      make("small", { className: "soft", textContent: groups }));
    const row = make("section", { className: "row", tabIndex: -1 }, title, make("div", { className: "controls" }, button, scrub, clock),
      make("div", { className: "clips" }, ...parts.map((part) => part.box)));
    row.setAttribute("aria-label", `${id} ${text}`);
    if (there.length) row.player = new Row({ videos: parts.map((part) => part.video || null), fps: parts.map((part) => part.about && part.about.fps),
      seconds, scrub, button, clock });
    near.observe(row);
    return row;
  }));
}

// ---------------------------------------------------------------- keys
function hear(set) {
  heard = set;
  for (const row of find("rows").children) if (row.player) row.player.hear(set);
}

/** The row in view that has the focus, or plays, or else is nearest to the middle of the window. */
function current() {
  const place = new Map([...find("rows").children].map((row) => [row, row.getBoundingClientRect()]));
  const seen = (row) => place.has(row) && place.get(row).bottom > 0 && place.get(row).top < innerHeight;
  const focus = document.activeElement.closest(".row"), plays = [...place.keys()].find((row) => playing && row.player === playing);
  const from = (row) => Math.hypot(place.get(row).top + place.get(row).bottom - innerHeight, place.get(row).left);
  return [focus, plays].find(seen) || [...place.keys()].sort((a, b) => from(a) - from(b))[0];
}
function go(by) {
  const rows = [...find("rows").children], row = current(), next = rows.indexOf(row) + (document.activeElement.closest(".row") ? by : 0);
  if (next < 0 && page > 0) turn(page - 1);
  else if (next >= rows.length && !find("later").disabled) turn(page + 1);
  const there = [...find("rows").children], target = next < 0 ? there.at(-1) : next >= rows.length ? there[0] : there[next];
  if (!target || (target === row && by && document.activeElement === row)) return;
  if (playing && playing !== target.player) playing.stop();
  target.focus({ preventScroll: true });
  target.scrollIntoView({ block: "nearest" });
}
function help() {
  find("keys").hidden = !find("keys").hidden;
  find("help").setAttribute("aria-expanded", !find("keys").hidden);
}
const KEYS = { j: () => go(1), ArrowDown: () => go(1), k: () => go(-1), ArrowUp: () => go(-1), "?": help,
  " ": (row) => row.player.toggle(), "[": (row) => row.player.step(-1), "]": (row) => row.player.step(1) };

document.addEventListener("keydown", (event) => {
  const { target, key } = event, kind = target.type || target.tagName;
  if (event.ctrlKey || event.metaKey || event.altKey || target.closest("dialog, select, [type=search], [type=text]")) return;
  if (key === " " && target.closest("button, summary, [type=checkbox]")) return;  // it presses what has the focus
  if (kind === "range" && key.startsWith("Arrow")) return;
  const set = /^[1-9]$/.test(key) ? Number(key) - 1 : -1, row = current();
  if (set >= 0 && set < REPORT.systems.length) hear(set);
  else if (KEYS[key] && (key === "?" || (row && (row.player || KEYS[key].length === 0)))) { event.preventDefault(); KEYS[key](row); }
});

for (const name of ["order", "metric", "system", "other"]) form[name].addEventListener("change", choose);
form.find.addEventListener("input", choose);
form.speed.addEventListener("change", () => playing && playing.pace());
form.addEventListener("submit", (event) => event.preventDefault());
find("help").addEventListener("click", help);
const leaf = (by) => { turn(page + by); find("samples-title").scrollIntoView(); };
find("earlier").addEventListener("click", () => leaf(-1));
find("later").addEventListener("click", () => leaf(1));
choose();
