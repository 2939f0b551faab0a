// ---------------------------------------------------------------- players in step
// The clip that is heard leads and is never touched; the others run a little faster or slower until they are with it.
const NEAR = 0.006, FAR = 0.15;  // seconds: below, nothing is done; above, a jump
const SOON = 0.1, MOST = 0.6;  // seconds in which a distance is made up for; the largest change of rate, which nobody hears
let late = 0.03;  // seconds that a clip with sound is known to start after a muted one, learned from each start
let playing = null, heard = 0;  // the row that plays; the set that is heard, in every row

const rested = (video) => (!video.seeking ? null : new Promise((done) => {
  for (const name of ["seeked", "error", "emptied"]) video.addEventListener(name, done, { once: true });
}));

class Row {
  /** `videos`: of each set its element or null; `seconds`: of the longest; `rate`: frames per second of each or 0. */
  constructor({ videos, seconds, fps, scrub, button, clock }) {
    Object.assign(this, { sets: videos, videos: videos.filter(Boolean), seconds, fps, scrub, button, clock, turn: 0 });
    scrub.addEventListener("input", () => this.drag(Number(scrub.value)));
    scrub.addEventListener("change", () => { if (this.held) { this.held = false; this.start(); } });
    button.addEventListener("click", () => this.toggle());
    for (const video of this.videos) {
      video.addEventListener("ended", () => this.look());
      video.addEventListener("loadeddata", () => { if (video.currentTime !== this.time) video.currentTime = this.within(video, this.time); });
    }
    this.time = 0;
    this.hear(heard);
  }
  within(video, time) { return Math.min(time, video.duration || time); }
  hear(set) {
    this.one = this.sets[set] || this.videos[0];
    for (const video of this.videos) {
      video.muted = video !== this.one;
      video.preservesPitch = video === this.one;  // dear, and nobody hears the others
      video.classList.toggle("heard", video === this.one);
      video.hearing.setAttribute("aria-pressed", video === this.one);
    }
    if (playing === this) this.pace();
  }
  running() { return this.videos.filter((v) => !v.ended && v.readyState > 0); }
  leader() {
    const running = this.running();
    return running.includes(this.one) ? this.one : running.sort((a, b) => b.duration - a.duration)[0];
  }
  toggle() { return playing === this ? this.stop() : this.start(); }

  /** Every clip to one time; while they are still on their way, only the last wish counts. */
  async seek(time) {
    this.time = Math.max(0, Math.min(time, this.seconds));
    for (const video of this.videos) video.currentTime = this.within(video, this.time);
    this.tell();
    await Promise.all(this.videos.map(rested));
  }
  async drag(time) {
    if (playing === this) { this.held = true; this.stop(); }
    this.wish = time;
    if (this.dragging) return;
    this.dragging = true;
    while (this.wish !== null) {
      const next = this.wish;
      this.wish = null;
      await this.seek(next);
    }
    this.dragging = false;
  }
  async start(from = this.time < this.seconds - 0.02 ? this.time : 0) {
    if (playing && playing !== this) playing.stop();
    playing = this;
    const turn = ++this.turn;
    this.button.textContent = "pause";
    if (this.videos.some((v) => v.seeking || Math.abs(v.currentTime - this.within(v, from)) > 0.001)) await this.seek(from);
    if (turn !== this.turn) return;
    this.pace();
    const starting = this.videos.filter((v) => !(from >= v.duration - 0.01));
    const fail = () => { if (turn === this.turn) this.stop(); };
    const begin = (video) => video.play().catch(fail);
    starting.filter((v) => v === this.one).forEach(begin);
    setTimeout(() => { if (turn === this.turn) starting.filter((v) => v !== this.one).forEach(begin); }, 1000 * late);
    this.learning = starting.includes(this.one) ? from + 0.06 : Infinity;
    const follow = () => { if (turn === this.turn) { this.look(); requestAnimationFrame(follow); } };
    follow();
  }
  stop() {
    this.turn += 1;
    if (playing === this) playing = null;
    this.button.textContent = "play";
    for (const video of this.videos) video.pause();
    this.seek(this.time);
  }
  step(frames) {
    const fps = this.fps[this.sets.indexOf(this.one)] || 25;
    if (playing === this) this.stop();
    this.seek((Math.floor(this.time * fps + 1e-6) + frames + 0.5) / fps);  // the middle of a frame, so that none is missed
  }
  pace() { for (const video of this.videos) video.playbackRate = Number(form.speed.value); }

  /** Who is behind runs faster; where all have ended they begin again together, or rest. */
  look() {
    if (playing !== this) return;
    const leader = this.leader(), rate = Number(form.speed.value);
    if (!leader) {
      if (!this.videos.every((v) => v.ended)) return;  // none is loaded yet
      this.time = this.seconds;
      if (form.loop.checked) this.start(0); else this.stop();
      return;
    }
    this.time = leader.currentTime;
    if (leader.playbackRate !== rate) leader.playbackRate = rate;
    const followers = this.running().filter((v) => v !== leader && !v.seeking);
    if (followers.length && this.time > this.learning) {
      late = Math.max(0, Math.min(0.2, late + 0.3 * (followers.reduce((sum, v) => sum + v.currentTime, 0) / followers.length - this.time)));
      this.learning = Infinity;
    }
    const now = performance.now() / 1000;  // where frames come late, a correction must last until the next but one
    this.lag = Math.max(Math.min(1, now - (this.seen || now)), 0.8 * (this.lag || 0));
    this.seen = now;
    const gain = 1 / Math.max(SOON, 2 * this.lag);
    for (const video of followers) {
      const behind = leader.currentTime - video.currentTime;
      if (Math.abs(behind) > FAR) video.currentTime = this.within(video, leader.currentTime);
      const wanted = Math.abs(behind) < NEAR ? rate : rate * (1 + Math.max(-MOST, Math.min(MOST, gain * behind)));
      if (Math.abs(video.playbackRate - wanted) > 0.01 * rate) video.playbackRate = wanted;
    }
    this.tell();
  }
  tell() {
    if (!this.dragging) this.scrub.value = this.time;
    this.clock.textContent = `${this.time.toFixed(2)} / ${this.seconds.toFixed(2)} s`;
    for (const video of this.videos) video.cursor.style.left = `${100 * Math.min(1, video.currentTime / video.seconds)}%`;
  }
}
