// The page: tabs, controls, keys, and the loop that draws.

const $ = (id) => document.getElementById(id);
const data = JSON.parse($("data").textContent);
const body = decodeBody(data.body);
const camera = new Camera();
const state = { tab: 0, time: 0, playing: true, speed: 1, mode: "body", follow: false, dirty: true, motions: [], box: null };
let canvas = $("view"), view = null, chips = [], bands = [], seen = -1;

function element(tag, text, parent) {
  const made = document.createElement(tag);
  if (text) made.textContent = text;
  if (parent) parent.append(made);
  return made;
}

function readColors() {
  const style = getComputedStyle(document.documentElement);
  const color = (name) => {
    const hex = style.getPropertyValue(name).trim();
    return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255);
  };
  state.colors = {
    floor: color("--floor"), grid: color("--grid"), sides: ["--left", "--right", "--trunk"].map(color),
    dark: document.documentElement.dataset.theme === "dark",
  };
  state.dirty = true;
}

function setTheme(name) { document.documentElement.dataset.theme = name; readColors(); }

function chooseView(wanted) {
  if (wanted !== "canvas") {
    try { return new GLView(canvas, body); } catch (error) { replaceCanvas(); }
  }
  return new CanvasView(canvas, body, data.pieces);
}

// A canvas keeps the kind of its first context for good.
function replaceCanvas() {
  const fresh = canvas.cloneNode(false);
  canvas.replaceWith(fresh); canvas = fresh;
}

function start(wanted) {
  view = chooseView(wanted);
  document.documentElement.dataset.renderer = view.name;
  $("note").textContent = view.name === "canvas" ? "Drawn without WebGL: bodies are simplified." : "";
  canvas.addEventListener("webglcontextlost", (event) => {
    event.preventDefault(); replaceCanvas(); start("canvas"); if (state.box) view.setBox(state.box);
  });
  attachPointer(canvas, camera, () => { state.dirty = true; });
  new ResizeObserver(resize).observe(canvas);
  resize();
}

function resize() {
  const ratio = Math.min(window.devicePixelRatio || 1, 2);
  canvas.width = Math.max(1, Math.round(canvas.clientWidth * ratio));
  canvas.height = Math.max(1, Math.round(canvas.clientHeight * ratio));
  if (state.box && !camera.touched) camera.fit(state.box, aspect());
  state.dirty = true;
}

const aspect = () => canvas.clientWidth / Math.max(canvas.clientHeight, 1);
const frames = () => Math.max(1, ...state.motions.map((motion) => motion.frames));

function openTab(index) {
  state.tab = (index + data.tabs.length) % data.tabs.length;
  state.motions = data.tabs[state.tab].motions.map((entry, i) => new Motion(entry, body, data.outfits[i % data.outfits.length]));
  state.box = arrange(state.motions);
  view.setBox(state.box); camera.fit(state.box, aspect());
  state.time = 0; seen = -1;
  [...$("tabs").children].forEach((button, i) => {
    const current = i === state.tab;
    button.setAttribute("aria-selected", String(current)); button.tabIndex = current ? 0 : -1;
    if (current) button.scrollIntoView({ block: "nearest", inline: "nearest" });
  });
  $("scrub").max = String(frames() - 1);
  buildLegend(); buildBands();
  state.dirty = true;
}

function buildLegend() {
  $("legend").replaceChildren(); $("chips").replaceChildren();
  const shirt = Math.max(data.pieces.indexOf("shirt"), 0);
  chips = state.motions.map((motion) => {
    const button = element("button", "", element("li", "", $("legend")));
    button.type = "button"; button.setAttribute("aria-pressed", "true");
    element("i", "", button).style.background = css(motion.outfit[shirt]);
    element("span", motion.caption, button);
    button.addEventListener("click", () => show(motion, !motion.visible));
    motion.button = button;
    const chip = element("span", "", $("chips"));
    chip.className = "chip"; chip.hidden = true;
    return chip;
  });
}

function show(motion, visible) {
  motion.visible = visible; motion.button.setAttribute("aria-pressed", String(visible)); state.dirty = true;
}

// The labels of a long motion over the scrubber, as wide as they last.
function buildBands() {
  $("bands").replaceChildren();
  const labels = state.motions[0].labels;
  $("bands").hidden = labels.length < 2;
  bands = labels.map(([frame, text], i) => {
    const until = i + 1 < labels.length ? labels[i + 1][0] : frames();
    const band = element("span", text, $("bands"));
    band.style.flex = `${until - frame} 1 0`; band.title = text;
    return [frame, until, band];
  });
}

function setPlaying(playing) {
  state.playing = playing;
  $("play").textContent = playing ? "Pause" : "Play";
  $("play").setAttribute("aria-pressed", String(playing));
  state.dirty = true;
}

function setMode(mode) {
  state.mode = mode;
  $("mesh").setAttribute("aria-pressed", String(mode === "body"));
  $("bones").setAttribute("aria-pressed", String(mode === "bones"));
  $("sides").hidden = mode !== "bones";
  state.dirty = true;
}

function setFollow(follow) {
  state.follow = follow; $("follow").setAttribute("aria-pressed", String(follow));
  if (!follow && state.box) camera.fit(state.box, aspect());
  state.dirty = true;
}

function seek(time) { state.time = clamp(time, 0, frames() - 1); state.dirty = true; }

function lookFrom(name) { camera.view(name, aspect()); state.dirty = true; }

function showTime() {
  const frame = Math.round(state.time);
  if (frame === seen) return;
  seen = frame;
  const total = frames();
  $("scrub").value = String(frame);
  $("counter").textContent = `${frame + 1} / ${total} \u00b7 ${(frame / data.fps).toFixed(2)} s`;
  for (const [from, until, band] of bands) band.className = frame >= from && frame < until ? "now" : "";
}

function placeChips(matrix, width, height) {
  state.motions.forEach((motion, i) => {
    const chip = chips[i], head = motion.joint(15), text = motion.labelAt(Math.round(state.time)) || motion.caption;
    const c = transformed(matrix, [head[0], head[1] + 0.3, head[2]]);
    chip.hidden = !motion.visible || c[3] < 0.1;
    if (chip.textContent !== text) chip.textContent = text;
    const x = (c[0] / c[3] + 1) / 2 * width, y = (1 - c[1] / c[3]) / 2 * height;
    chip.style.transform = `translate(${x.toFixed(1)}px, ${y.toFixed(1)}px) translate(-50%, -100%)`;
  });
}

let last = 0;
function loop(now) {
  const passed = Math.min((now - last) / 1000, 0.1);
  last = now;
  if (state.playing) {
    state.time += passed * data.fps * state.speed;
    // The last frame stays for half a second before all begins again.
    if (state.time > frames() - 1 + 0.5 * data.fps * state.speed) state.time = 0;
    state.dirty = true;
  }
  if (state.dirty) {
    state.dirty = false;
    const time = Math.min(state.time, frames() - 1), width = canvas.clientWidth, height = canvas.clientHeight;
    for (const motion of state.motions) motion.pose(time);
    const shown = state.motions.filter((motion) => motion.visible);
    if (state.follow && shown.length) {
      const middle = scale(shown.reduce((sum, motion) => add(sum, motion.joint(0)), [0, 0, 0]), 1 / shown.length);
      camera.target = [middle[0], camera.target[1], middle[2]];
    }
    const matrix = view.draw(shown, camera, state.mode, state.colors, width, height);
    placeChips(matrix, width, height);
    state.time = Math.max(state.time, 0);
    const at = state.time; state.time = time; showTime(); state.time = at;
  }
  requestAnimationFrame(loop);
}

const KEYS = {
  " ": () => setPlaying(!state.playing), ArrowLeft: () => { setPlaying(false); seek(Math.round(state.time) - 1); },
  ArrowRight: () => { setPlaying(false); seek(Math.round(state.time) + 1); }, Home: () => seek(0), End: () => seek(frames() - 1),
  "[": () => openTab(state.tab - 1), "]": () => openTab(state.tab + 1),
  "+": () => camera.zoom(0.9), "=": () => camera.zoom(0.9), "-": () => camera.zoom(1.1),
  b: () => setMode(state.mode === "body" ? "bones" : "body"), f: () => setFollow(!state.follow), r: () => lookFrom("corner"),
  t: () => $("theme").click(), "?": () => $("keys").showModal(),
};
const TURNS = { ArrowLeft: [-0.12, 0], ArrowRight: [0.12, 0], ArrowUp: [0, 0.08], ArrowDown: [0, -0.08] };

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || $("keys").open) return;
  const on = event.target, key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (on.tagName === "SELECT" || (on.role === "tab" && /^(Arrow|Home|End)/.test(key))) return;
  if (key === " " && on.tagName === "BUTTON") return;
  if (event.shiftKey && TURNS[key]) camera.turn(...TURNS[key]);
  else if (/^[1-9]$/.test(key)) { const motion = state.motions[key - 1]; if (motion) show(motion, !motion.visible); }
  else if (KEYS[key]) KEYS[key]();
  else return;
  event.preventDefault(); state.dirty = true;
}

function wire() {
  $("title").textContent = data.title;
  data.tabs.forEach((tab, i) => {
    const button = element("button", tab.name.replace(/_/g, " ").replace(/\+/g, " + "), $("tabs"));
    button.type = "button"; button.role = "tab"; button.setAttribute("role", "tab"); button.setAttribute("aria-controls", "stage");
    button.addEventListener("click", () => openTab(i));
  });
  $("tabs").addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const goal = step ? state.tab + step : { Home: 0, End: data.tabs.length - 1 }[event.key];
    if (goal === undefined || event.shiftKey) return;
    event.preventDefault(); openTab(goal); $("tabs").children[state.tab].focus();
  });
  $("play").addEventListener("click", () => setPlaying(!state.playing));
  $("scrub").addEventListener("input", () => { setPlaying(false); seek(Number($("scrub").value)); });
  $("speed").addEventListener("change", () => { state.speed = Number($("speed").value); });
  $("mesh").addEventListener("click", () => setMode("body"));
  $("bones").addEventListener("click", () => setMode("bones"));
  $("follow").addEventListener("click", () => setFollow(!state.follow));
  for (const button of document.querySelectorAll("[data-view]")) button.addEventListener("click", () => lookFrom(button.dataset.view));
  $("theme").addEventListener("click", () => setTheme(state.colors.dark ? "light" : "dark"));
  $("help").addEventListener("click", () => $("keys").showModal());
  document.addEventListener("keydown", pressed);
}

const prefers = (query) => window.matchMedia && window.matchMedia(query).matches;
wire();
setTheme(prefers("(prefers-color-scheme: dark)") ? "dark" : "light");
setMode("body");
// viewer.html#canvas draws without WebGL.
start(location.hash.slice(1));
openTab(0);
setPlaying(!prefers("(prefers-reduced-motion: reduce)"));
requestAnimationFrame((now) => { last = now; loop(now); });
