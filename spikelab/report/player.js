"use strict";
// Plays the events of this page. Times are in seconds from the first event on.
const facts = JSON.parse(document.getElementById("facts").textContent);
const packed = Uint8Array.from(atob(document.getElementById("events").textContent.trim()), (c) => c.charCodeAt(0));
const words = new Uint32Array(packed.buffer); // [2 N] little-endian: times in ticks, then addresses
const shown = facts.shown;
const ticks = words.subarray(0, shown);
const cells = words.subarray(shown); // ((y * width) + x) * 2 + polarity
const tick = facts.tick_us / 1e6;
const [width, height] = [facts.width, facts.height];
const line = height === 1; // a sensor with one axis is drawn as channels over time
const length = Math.max((facts.duration_us + 1) / 1e6, 1e-6);

const by = (id) => document.getElementById(id);
const sensor = by("sensor");
const rate = by("rate");
const columns = line ? 720 : width;
const rows = line ? width : height;
sensor.width = columns;
sensor.height = rows;
const screen = sensor.getContext("2d", { alpha: false });
const image = screen.createImageData(columns, rows);
const pixels = new Uint32Array(image.data.buffer);

const nice = (value) => {
  const ten = 10 ** Math.floor(Math.log10(value));
  return [5, 2, 1].map((k) => k * ten).find((k) => k <= value * 1.0000001);
};
const state = {
  time: 0,
  window: nice(line ? length : Math.min(0.02, Math.max(length / 20, 1e-5))),
  speed: nice(Math.min(1, length / 8)),
  playing: false,
  last: null,
};

const seconds = (value) => {
  const size = Math.abs(value);
  if (size >= 1 || size === 0) return `${value.toFixed(3)} s`;
  return size >= 1e-3 ? `${(value * 1e3).toFixed(2)} ms` : `${(value * 1e6).toFixed(0)} µs`;
};
const whole = (value) => Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, ",");
// Number of events before a time.
const before = (time) => {
  const limit = Math.round(time / tick * 1e3) / 1e3;
  let [low, high] = [0, shown];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ticks[middle] < limit) low = middle + 1;
    else high = middle;
  }
  return low;
};

const colour = (id) => {
  const value = parseInt(by(id).value.slice(1), 16);
  return (0xff000000 | ((value & 255) << 16) | (value & 0xff00) | (value >> 16)) >>> 0;
};

const drawSensor = () => {
  pixels.fill(colour("back"));
  const [on, off] = [colour("on"), colour("off")];
  const start = state.time - state.window;
  const [first, last] = [before(start), before(state.time)];
  let count = 0;
  for (let k = first; k < last; k++) {
    const positive = cells[k] & 1;
    const cell = cells[k] >>> 1;
    count += positive;
    const column = line ? Math.min(columns - 1, Math.floor(((ticks[k] * tick - start) / state.window) * columns)) : 0;
    pixels[line ? cell * columns + column : cell] = positive ? on : off;
  }
  screen.putImageData(image, 0, 0);
  by("now").textContent = seconds(state.time);
  by("inside").textContent = whole(last - first);
  by("ons").textContent = whole(count);
  by("offs").textContent = whole(last - first - count);
};

const drawRate = () => {
  const ratio = window.devicePixelRatio || 1;
  const [w, h] = [rate.clientWidth, rate.clientHeight];
  rate.width = w * ratio;
  rate.height = h * ratio;
  const g = rate.getContext("2d");
  g.scale(ratio, ratio);
  g.fillStyle = by("back").value;
  g.fillRect(0, 0, w, h);
  const bins = facts.on.length;
  const most = Math.max(1, ...facts.on.map((n, k) => n + facts.off[k]));
  const top = 18; // room for the label
  const bar = (facts.bin_us / 1e6 / length) * w;
  for (let k = 0; k < bins; k++) {
    const [a, b] = [facts.off[k], facts.on[k]].map((n) => (n / most) * (h - top));
    g.fillStyle = by("off").value;
    g.fillRect(k * bar, h - a, Math.max(bar, 1), a);
    g.fillStyle = by("on").value;
    g.fillRect(k * bar, h - a - b, Math.max(bar, 1), b);
  }
  const place = (time) => (time / length) * w;
  g.fillStyle = "rgba(255,255,255,0.22)";
  const left = Math.max(0, place(state.time - state.window));
  g.fillRect(left, 0, Math.max(place(state.time) - left, 1), h);
  g.fillStyle = "#fff";
  g.fillRect(Math.min(place(state.time), w - 2), 0, 2, h);
  g.font = "12px system-ui, sans-serif";
  g.fillText(`highest: ${whole((most * 1e6) / facts.bin_us)} events/s`, 6, 13);
};

const show = () => {
  by("scrub").value = Math.round((state.time / length) * 10000);
  by("scrub").setAttribute("aria-valuetext", seconds(state.time));
  by("play").textContent = state.playing ? "Pause" : "Play";
  by("speed").value = Math.round(Math.log10(state.speed) * 100);
  by("speedText").textContent = state.speed >= 0.1 ? `${+state.speed.toPrecision(2)} x` : `1/${Math.round(1 / state.speed)} x`;
  by("window").value = Math.round(Math.log10(state.window) * 100);
  by("windowText").textContent = seconds(state.window);
  drawSensor();
  drawRate();
};

const seek = (time) => {
  state.time = Math.min(Math.max(time, 0), length);
  show();
};

const step = (stamp) => {
  if (!state.playing) return;
  if (state.last !== null) state.time += Math.min((stamp - state.last) / 1e3, 0.1) * state.speed;
  state.last = stamp;
  if (state.time >= length) {
    state.time = by("loop").checked ? 0 : length;
    state.playing = by("loop").checked;
  }
  show();
  if (state.playing) requestAnimationFrame(step);
};

const toggle = () => {
  state.playing = !state.playing;
  state.last = null;
  if (state.playing && state.time >= length) state.time = 0;
  show();
  if (state.playing) requestAnimationFrame(step);
};

// As large as there is room, in whole screen pixels per pixel of the sensor where that is possible.
const fit = () => {
  const [w, h] = [by("stage").clientWidth, Math.max(200, window.innerHeight * 0.62)];
  let scale = Math.min(w / columns, h / rows);
  if (line) {
    sensor.style.width = `${w}px`;
    sensor.style.height = `${Math.min(h, Math.max(200, rows * 3))}px`;
  } else {
    if (scale >= 1) scale = Math.floor(scale);
    sensor.style.imageRendering = scale < 1 ? "auto" : "pixelated"; // made smaller, no event may vanish
    sensor.style.width = `${columns * scale}px`;
    sensor.style.height = `${rows * scale}px`;
  }
  show();
};

by("play").addEventListener("click", toggle);
by("scrub").addEventListener("input", (e) => seek((e.target.value / 10000) * length));
by("speed").addEventListener("input", (e) => { state.speed = 10 ** (e.target.value / 100); show(); });
by("window").addEventListener("input", (e) => { state.window = 10 ** (e.target.value / 100); show(); });
for (const id of ["on", "off", "back"]) by(id).addEventListener("input", show);
const point = (e) => {
  if (e.buttons !== 1) return;
  const box = rate.getBoundingClientRect();
  seek(((e.clientX - box.left) / box.width) * length);
};
rate.addEventListener("pointerdown", point);
rate.addEventListener("pointermove", point);
document.addEventListener("keydown", (e) => {
  if (e.ctrlKey || e.altKey || e.metaKey || e.target.tagName === "INPUT") return;
  if (e.key === " " && e.target.tagName !== "BUTTON") toggle();
  else if (e.key === "ArrowRight") seek(state.time + state.window);
  else if (e.key === "ArrowLeft") seek(state.time - state.window);
  else return;
  e.preventDefault();
});
window.addEventListener("resize", fit);

// player.html#t=0.25&window=0.01&play starts there.
const asked = new URLSearchParams(location.hash.slice(1));
const number = (name, otherwise, low, high) => {
  const value = parseFloat(asked.get(name));
  return Number.isFinite(value) ? Math.min(Math.max(value, low), high) : otherwise;
};
by("window").min = -600;
by("window").max = Math.max(Math.ceil(Math.log10(length) * 100), -500);
state.window = number("window", state.window, 1e-6, length);
state.speed = number("speed", state.speed, 1e-5, 10);
state.time = number("t", Math.min(state.window, length), 0, length);
fit();
if (asked.has("play")) toggle();
document.body.dataset.ready = "yes";
