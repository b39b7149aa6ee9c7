// Motions out of the page's data, and bodies posed at any moment.

const JOINTS = 24;

function bytesOf(text) {
  const raw = atob(text), bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return bytes;
}

// Numbers of a little-endian array, whatever the machine's own order is.
function numbersOf(text, kind) {
  const bytes = bytesOf(text);
  if (kind === "u1") return bytes;
  if (kind === "i1") return new Int8Array(bytes.buffer);
  const view = new DataView(bytes.buffer), count = bytes.length / 2;
  const out = kind === "i2" ? new Int16Array(count) : new Uint16Array(count);
  for (let i = 0; i < count; i++) out[i] = kind === "i2" ? view.getInt16(2 * i, true) : view.getUint16(2 * i, true);
  return out;
}

function decodeBody(data) {
  const packed = numbersOf(data.positions, "u2"), positions = new Float32Array(packed.length);
  for (let i = 0; i < packed.length; i++) {
    const axis = i % 3;
    positions[i] = data.low[axis] + packed[i] / 65535 * (data.high[axis] - data.low[axis]);
  }
  return {
    positions, normals: numbersOf(data.normals, "i1"), joints: numbersOf(data.joints, "u1"),
    weights: numbersOf(data.weights, "u1"), pieces: numbersOf(data.colors, "u1"),
    faces: numbersOf(data.faces, "u2"), rest: data.rest, parents: data.parents, names: data.names,
  };
}

class Motion {
  constructor(data, body, outfit) {
    this.caption = data.caption; this.frames = data.frames; this.labels = data.labels;
    this.body = body; this.outfit = outfit; this.visible = true; this.offset = [0, 0, 0];
    const turns = numbersOf(data.poses, "i2"), way = numbersOf(data.trans, "i2");
    this.quaternions = new Float32Array(data.frames * JOINTS * 4);
    for (let i = 0; i < data.frames * JOINTS; i++) {
      const x = turns[3 * i] * Math.PI / 32767, y = turns[3 * i + 1] * Math.PI / 32767, z = turns[3 * i + 2] * Math.PI / 32767;
      const angle = Math.hypot(x, y, z), s = angle < 1e-9 ? 0.5 : Math.sin(angle / 2) / angle;
      this.quaternions.set([Math.cos(angle / 2), x * s, y * s, z * s], 4 * i);
    }
    this.way = Float32Array.from(way, (value) => value / 32767 * data.reach);
    this.positions = new Float32Array(JOINTS * 3);
    this.rotations = new Float32Array(JOINTS * 9);
    // Three rows of four numbers for each joint: rest place to posed place.
    this.bones = new Float32Array(JOINTS * 12);
    this.measure();
  }

  // Pose at a frame that need not be whole; the last one stays.
  pose(time) {
    const body = this.body, at = clamp(time, 0, this.frames - 1), first = Math.floor(at);
    const second = Math.min(first + 1, this.frames - 1), weight = at - first;
    const mixed = new Float32Array(4), local = new Float32Array(9), world = this.rotations, places = this.positions;
    const a = first * JOINTS * 4, b = second * JOINTS * 4, q = this.quaternions;
    for (let j = 0; j < JOINTS; j++) {
      let agree = 0, length = 0;
      for (let k = 0; k < 4; k++) agree += q[a + 4 * j + k] * q[b + 4 * j + k];
      for (let k = 0; k < 4; k++) {
        mixed[k] = (1 - weight) * q[a + 4 * j + k] + (agree < 0 ? -weight : weight) * q[b + 4 * j + k];
        length += mixed[k] * mixed[k];
      }
      length = Math.sqrt(length);
      for (let k = 0; k < 4; k++) mixed[k] /= length;
      rotationRows(mixed, 0, local, 0);
      const p = body.parents[j], rest = body.rest[j];
      if (p < 0) {
        world.set(local, 9 * j);
        for (let k = 0; k < 3; k++)
          places[3 * j + k] = rest[k] + this.offset[k] + (1 - weight) * this.way[3 * first + k] + weight * this.way[3 * second + k];
      } else {
        const bone = sub(rest, body.rest[p]);
        for (let r = 0; r < 3; r++) {
          const from = 9 * p + 3 * r, w0 = world[from], w1 = world[from + 1], w2 = world[from + 2];
          places[3 * j + r] = places[3 * p + r] + w0 * bone[0] + w1 * bone[1] + w2 * bone[2];
          for (let c = 0; c < 3; c++) world[9 * j + 3 * r + c] = w0 * local[c] + w1 * local[3 + c] + w2 * local[6 + c];
        }
      }
      for (let r = 0; r < 3; r++) {
        const from = 9 * j + 3 * r, to = 12 * j + 4 * r;
        for (let c = 0; c < 3; c++) this.bones[to + c] = world[from + c];
        this.bones[to + 3] = places[3 * j + r] - world[from] * rest[0] - world[from + 1] * rest[1] - world[from + 2] * rest[2];
      }
    }
  }

  joint(j) { return [this.positions[3 * j], this.positions[3 * j + 1], this.positions[3 * j + 2]]; }

  labelAt(time) {
    let text = "";
    for (const [frame, label] of this.labels) if (frame <= time + 1e-6) text = label;
    return text;
  }

  // The box that the joints stay in, without the offset.
  measure() {
    this.low = [Infinity, 0, Infinity]; this.high = [-Infinity, 0, -Infinity]; this.places = [];
    const step = Math.max(1, Math.floor(this.frames / 40));
    for (let frame = 0; frame < this.frames; frame += step) {
      this.pose(frame);
      for (let i = 0; i < JOINTS * 3; i++) {
        const axis = i % 3;
        this.low[axis] = Math.min(this.low[axis], this.positions[i]);
        this.high[axis] = Math.max(this.high[axis], this.positions[i]);
      }
      // Head, hands and feet are enough to tell what must be in the picture.
      for (const j of [0, 15, 22, 23, 10, 11]) this.places.push(add(this.joint(j), [0, j === 15 ? 0.3 : 0, 0]));
    }
  }
}

// Sets the people of a tab side by side, in rows where they are many; returns the box they need.
function arrange(motions) {
  const gap = 0.45, columns = motions.length <= 5 ? motions.length : Math.ceil(Math.sqrt(motions.length * 1.8));
  const box = { low: [Infinity, 0, Infinity], high: [-Infinity, 0.5, -Infinity], points: [] };
  let z = 0;
  for (let start = 0; start < motions.length; start += columns) {
    const row = motions.slice(start, start + columns);
    const width = row.reduce((sum, m) => sum + m.high[0] - m.low[0] + gap, -gap);
    const depth = Math.max(...row.map((m) => m.high[2] - m.low[2]));
    let x = -width / 2;
    for (const m of row) {
      m.offset = [x - m.low[0], 0, z - (m.low[2] + m.high[2]) / 2];
      for (const p of m.places) box.points.push(add(p, m.offset));
      x += m.high[0] - m.low[0] + gap;
      for (let axis = 0; axis < 3; axis++) {
        box.low[axis] = Math.min(box.low[axis], m.low[axis] + m.offset[axis]);
        box.high[axis] = Math.max(box.high[axis], m.high[axis] + m.offset[axis]);
      }
    }
    z -= depth + 0.9;
  }
  return box;
}
