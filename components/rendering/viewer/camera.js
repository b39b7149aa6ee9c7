// A camera on a sphere around a point: turned, moved and brought nearer by mouse, fingers and keys.

const VIEWS = { front: [0, 0.1], corner: [0.6, 0.22], side: [Math.PI / 2, 0.1], top: [0.001, 1.5] };
const SLOPE = Math.tan(15 * Math.PI / 180);

class Camera {
  constructor() {
    this.yaw = 0.6; this.pitch = 0.22; this.distance = 6; this.target = [0, 0.9, 0]; this.home = null; this.shift = [0, 0, 0]; this.touched = false;
  }

  // The nearest place, in this direction, from which all points are in the picture.
  fit(box, aspect) {
    this.home = box; this.touched = false;
    const towards = [Math.cos(this.pitch) * Math.sin(this.yaw), Math.sin(this.pitch), Math.cos(this.pitch) * Math.cos(this.yaw)];
    const right = unit(cross([0, 1, 0], towards)), up = cross(towards, right);
    const center = scale(add(box.low, box.high), 0.5), sides = [];
    // A point is in the picture where |along - shift| <= slope * (distance - depth); margins leave room for bodies.
    for (const [axis, slope, margin] of [[right, SLOPE * aspect, 0.22], [up, SLOPE, 0.14]]) {
      let high = -Infinity, low = -Infinity;
      for (const point of box.points) {
        const p = sub(point, center), depth = dot(p, towards), along = dot(p, axis);
        high = Math.max(high, (along + margin) / slope + depth); low = Math.max(low, (margin - along) / slope + depth);
      }
      sides.push({ distance: (high + low) / 2, shift: (high - low) / 2 * slope });
    }
    this.distance = clamp(Math.max(sides[0].distance, sides[1].distance), 2.2, 80) * 1.03;
    this.target = add(center, add(scale(right, sides[0].shift), scale(up, sides[1].shift))); this.shift = [0, 0, 0];
  }

  view(name, aspect) {
    [this.yaw, this.pitch] = VIEWS[name];
    if (this.home) this.fit(this.home, aspect);
  }

  turn(dx, dy) { this.touched = true; this.yaw -= dx; this.pitch = clamp(this.pitch + dy, -0.05, 1.55); }

  zoom(factor) { this.touched = true; this.distance = clamp(this.distance * factor, 0.6, 80); }

  pan(dx, dy, height) {
    this.touched = true;
    const unitSize = 2 * SLOPE * this.distance / height;
    const right = [Math.cos(this.yaw), 0, -Math.sin(this.yaw)];
    this.shift = add(this.shift, add(scale(right, -dx * unitSize), [0, dy * unitSize, 0]));
  }

  get eye() {
    const flat = Math.cos(this.pitch);
    const back = [flat * Math.sin(this.yaw), Math.sin(this.pitch), flat * Math.cos(this.yaw)];
    return add(this.center, scale(back, this.distance));
  }

  get center() { return add(this.target, this.shift); }

  matrix(aspect) {
    const near = Math.max(0.05, this.distance * 0.02);
    return product(perspective(SLOPE, aspect, near, this.distance + 80), lookAt(this.eye, this.center, [0, 1, 0]));
  }
}

function attachPointer(canvas, camera, changed) {
  const held = new Map();
  let spread = 0;
  const middle = () => { const all = [...held.values()]; return [all.reduce((s, p) => s + p[0], 0) / all.length, all.reduce((s, p) => s + p[1], 0) / all.length]; };
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    held.set(event.pointerId, [event.clientX, event.clientY]); spread = 0;
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!held.has(event.pointerId)) return;
    const before = middle();
    held.set(event.pointerId, [event.clientX, event.clientY]);
    const now = middle(), dx = now[0] - before[0], dy = now[1] - before[1];
    if (held.size > 1) {
      const [a, b] = [...held.values()], width = Math.hypot(a[0] - b[0], a[1] - b[1]);
      if (spread) camera.zoom(spread / Math.max(width, 1));
      spread = width;
      camera.pan(dx, dy, canvas.clientHeight);
    } else if (event.buttons & 2 || event.shiftKey) camera.pan(dx, dy, canvas.clientHeight);
    else camera.turn(dx * 0.008, dy * 0.008);
    changed();
  });
  const release = (event) => { held.delete(event.pointerId); spread = 0; };
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    camera.zoom(Math.exp(clamp(event.deltaY, -120, 120) * 0.0015)); changed();
  }, { passive: false });
}
