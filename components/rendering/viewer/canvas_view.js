// Draws without WebGL: limbs as round strokes, far ones first.

// Half the width of the limb that ends at a joint, metres.
const THICKNESS = {
  hip: 0.085, spine1: 0.13, spine2: 0.135, spine3: 0.14, knee: 0.075, ankle: 0.05, foot: 0.04, neck: 0.07, collar: 0.08,
  head: 0.06, shoulder: 0.065, elbow: 0.048, wrist: 0.036, hand: 0.034,
};
const PIECE_OF = { hip: "trousers", knee: "trousers", ankle: "trousers", foot: "shoes", wrist: "skin", hand: "skin", neck: "skin", head: "skin" };

const css = (color, strength = 1) => `rgba(${color.map((value) => Math.round(clamp(value * strength, 0, 1) * 255)).join(",")},1)`;

class CanvasView {
  constructor(canvas, body, pieces) {
    this.canvas = canvas; this.context = canvas.getContext("2d"); this.body = body; this.pieces = pieces; this.name = "canvas";
    if (!this.context) throw new Error("this browser draws no pictures");
  }

  setBox(box) {
    const center = scale(add(box.low, box.high), 0.5);
    this.reach = Math.ceil(Math.max(box.high[0] - box.low[0], box.high[2] - box.low[2]) / 2 + 2);
    this.middle = [Math.round(center[0]), 0, Math.round(center[2])];
  }

  draw(motions, camera, mode, colors, width, height) {
    const context = this.context, matrix = camera.matrix(width / height);
    const ratio = this.canvas.width / width, unitSize = height / (2 * SLOPE);
    const screen = (p) => {
      const c = transformed(matrix, p);
      return c[3] < 0.05 ? null : [(c[0] / c[3] + 1) / 2 * width, (1 - c[1] / c[3]) / 2 * height, c[3]];
    };
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.lineCap = "round";
    this.drawFloor(screen, colors);
    const strokes = [];
    for (const motion of motions) {
      const shadow = new Path2D();
      for (let j = 1; j < JOINTS; j++) {
        const ends = [motion.joint(this.body.parents[j]), motion.joint(j)], kind = this.body.names[j].replace(/^(left|right)_/, "");
        const [a, b] = ends.map(screen);
        if (!a || !b) continue;
        const size = mode === "bones" ? 0.018 : THICKNESS[kind] || 0.05, depth = (a[2] + b[2]) / 2;
        const color = mode === "bones" ? colors.sides[sideOf(this.body.names[j])] : this.colorOf(motion, kind);
        strokes.push({ a, b, depth, width: 2 * size * unitSize / depth, color, plain: /spine|collar|neck|hip/.test(kind) });
        const ground = ends.map((p) => screen([p[0] - LIGHT[0] / LIGHT[1] * p[1], 0.002, p[2] - LIGHT[2] / LIGHT[1] * p[1]]));
        if (ground[0] && ground[1]) { shadow.moveTo(ground[0][0], ground[0][1]); shadow.lineTo(ground[1][0], ground[1][1]); }
      }
      // One stroke for the whole shadow: where limbs cross it gets no darker.
      const middle = screen(motion.joint(0));
      if (middle) {
        context.strokeStyle = colors.dark ? "rgba(0,0,0,.4)" : "rgba(20,30,50,.16)";
        context.lineWidth = (mode === "bones" ? 0.04 : 0.14) * unitSize / middle[2];
        context.stroke(shadow);
      }
      const top = motion.joint(15), head = screen(add(top, [0, 0.06, 0]));
      if (head && mode === "body") strokes.push({ a: head, b: head, depth: head[2], width: 0.22 * unitSize / head[2], color: this.colorOf(motion, "head") });
    }
    strokes.sort((first, second) => second.depth - first.depth);
    for (const { a, b, width: thick, color, plain } of strokes) {
      this.stroke(a, b, thick, css(color, plain ? 0.94 : 0.82));
      if (plain) continue;
      this.stroke([a[0] - thick * 0.08, a[1] - thick * 0.08], [b[0] - thick * 0.08, b[1] - thick * 0.08], thick * 0.74, css(color));
    }
    return matrix;
  }

  colorOf(motion, kind) {
    const place = this.pieces.indexOf(PIECE_OF[kind] || "shirt");
    return motion.outfit[Math.max(place, 0)];
  }

  stroke(a, b, thick, style) {
    const context = this.context;
    context.strokeStyle = style; context.lineWidth = Math.max(thick, 1.5);
    context.beginPath(); context.moveTo(a[0], a[1]); context.lineTo(b[0] + 0.01, b[1]); context.stroke();
  }

  drawFloor(screen, colors) {
    const [x, , z] = this.middle, r = this.reach, lines = [];
    for (let k = -2 * r; k <= 2 * r; k++) {
      for (let part = -r; part < r; part++) {
        lines.push([[x + k / 2, 0, z + part], [x + k / 2, 0, z + part + 1]], [[x + part, 0, z + k / 2], [x + part + 1, 0, z + k / 2]]);
      }
    }
    for (const [from, to] of lines) {
      const far = Math.hypot((from[0] + to[0]) / 2 - x, (from[2] + to[2]) / 2 - z) / r, a = screen(from), b = screen(to);
      if (!a || !b || far > 1) continue;
      this.context.globalAlpha = 0.9 * (1 - far);
      this.stroke(a, b, 1, css(colors.grid));
    }
    this.context.globalAlpha = 1;
  }
}
