// Vectors, quaternions (w, x, y, z) and 4 x 4 matrices (column by column, as WebGL takes them).

const sub = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
const add = (a, b) => [a[0] + b[0], a[1] + b[1], a[2] + b[2]];
const scale = (a, s) => [a[0] * s, a[1] * s, a[2] * s];
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
const norm = (a) => Math.hypot(a[0], a[1], a[2]);
const unit = (a) => scale(a, 1 / Math.max(norm(a), 1e-12));
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

// Rows of the rotation of a quaternion at `from` in `q`, into nine places of `out`.
function rotationRows(q, from, out, to) {
  const w = q[from], x = q[from + 1], y = q[from + 2], z = q[from + 3];
  out[to] = 1 - 2 * (y * y + z * z); out[to + 1] = 2 * (x * y - z * w); out[to + 2] = 2 * (x * z + y * w);
  out[to + 3] = 2 * (x * y + z * w); out[to + 4] = 1 - 2 * (x * x + z * z); out[to + 5] = 2 * (y * z - x * w);
  out[to + 6] = 2 * (x * z - y * w); out[to + 7] = 2 * (y * z + x * w); out[to + 8] = 1 - 2 * (x * x + y * y);
}

function product(a, b) {
  const out = new Float32Array(16);
  for (let column = 0; column < 4; column++)
    for (let row = 0; row < 4; row++)
      for (let k = 0; k < 4; k++) out[column * 4 + row] += a[k * 4 + row] * b[column * 4 + k];
  return out;
}

function perspective(slope, aspect, near, far) {
  const out = new Float32Array(16);
  out[0] = 1 / (slope * aspect); out[5] = 1 / slope; out[10] = (far + near) / (near - far);
  out[11] = -1; out[14] = 2 * far * near / (near - far);
  return out;
}

function lookAt(eye, target, up) {
  const back = unit(sub(eye, target)), right = unit(cross(up, back)), above = cross(back, right);
  return new Float32Array([
    right[0], above[0], back[0], 0, right[1], above[1], back[1], 0, right[2], above[2], back[2], 0,
    -dot(right, eye), -dot(above, eye), -dot(back, eye), 1,
  ]);
}

// Clip coordinates [x, y, z, w] of a point.
function transformed(matrix, p) {
  const out = [0, 0, 0, 0];
  for (let row = 0; row < 4; row++)
    out[row] = matrix[row] * p[0] + matrix[4 + row] * p[1] + matrix[8 + row] * p[2] + matrix[12 + row];
  return out;
}
