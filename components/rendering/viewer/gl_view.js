// Draws with WebGL: bodies skinned in the vertex shader, their shadows, the floor.

const SKIN = `
  attribute vec3 position; attribute vec3 normal; attribute vec4 joints; attribute vec4 weights; attribute float piece;
  uniform vec4 bones[72]; uniform vec3 palette[8]; uniform mat4 camera; uniform vec4 flatten;
  varying vec3 where_; varying vec3 facing; varying vec3 color;
  vec3 moved(int joint, vec4 p) {
    return vec3(dot(bones[3 * joint], p), dot(bones[3 * joint + 1], p), dot(bones[3 * joint + 2], p));
  }
  void main() {
    vec4 p = vec4(position, 1.0), n = vec4(normal, 0.0);
    vec3 place = vec3(0.0), turned = vec3(0.0);
    for (int k = 0; k < 4; k++) {
      float share = k == 0 ? weights.x : k == 1 ? weights.y : k == 2 ? weights.z : weights.w;
      int joint = int((k == 0 ? joints.x : k == 1 ? joints.y : k == 2 ? joints.z : joints.w) + 0.5);
      place += share * moved(joint, p); turned += share * moved(joint, n);
    }
    // A shadow is the body pressed onto the floor along the light.
    if (flatten.w > 0.5) place = vec3(place.x - flatten.x * place.y, 0.004, place.z - flatten.z * place.y);
    where_ = place; facing = turned; color = palette[int(piece + 0.5)];
    gl_Position = camera * vec4(place, 1.0);
  }`;
const LIT = `
  precision mediump float;
  varying vec3 where_; varying vec3 facing; varying vec3 color;
  uniform vec3 eye; uniform vec3 light; uniform vec4 flatColor; uniform float ambient;
  void main() {
    if (flatColor.a > 0.0) { gl_FragColor = vec4(flatColor.rgb * flatColor.a, flatColor.a); return; }
    vec3 n = normalize(facing), v = normalize(eye - where_), h = normalize(light + v);
    float key = max(dot(n, light) * 0.85 + 0.15, 0.0), sky = 0.5 + 0.5 * n.y;
    float rim = pow(1.0 - max(dot(n, v), 0.0), 3.0), shine = pow(max(dot(n, h), 0.0), 24.0);
    vec3 base = color * color;
    vec3 lit = base * (ambient * mix(vec3(0.62, 0.58, 0.55), vec3(0.86, 0.93, 1.05), sky) + 0.95 * key * vec3(1.0, 0.97, 0.92));
    lit += 0.05 * shine + 0.10 * rim * vec3(0.75, 0.85, 1.0);
    gl_FragColor = vec4(sqrt(min(lit, 1.0)), 1.0);
  }`;
const FLAT_VERTEX = `
  attribute vec3 position; uniform mat4 camera; uniform vec4 spot; varying vec2 ground;
  void main() { ground = (position.xz - spot.xz) / spot.w; gl_Position = camera * vec4(position, 1.0); }`;
const FLAT_FRAGMENT = `
  precision mediump float; varying vec2 ground; uniform vec4 paint;
  void main() { float a = paint.a * (1.0 - smoothstep(0.35, 1.0, length(ground))); gl_FragColor = vec4(paint.rgb * a, a); }`;

const LIGHT = unit([0.45, 0.95, 0.5]);

function compile(gl, vertex, fragment) {
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, vertex], [gl.FRAGMENT_SHADER, fragment]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source); gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader) || "shader");
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program) || "program");
  const found = { program, uniforms: {}, attributes: {} };
  for (let i = 0; i < gl.getProgramParameter(program, gl.ACTIVE_UNIFORMS); i++) {
    const name = gl.getActiveUniform(program, i).name;
    found.uniforms[name.replace("[0]", "")] = gl.getUniformLocation(program, name);
  }
  for (let i = 0; i < gl.getProgramParameter(program, gl.ACTIVE_ATTRIBUTES); i++) {
    const name = gl.getActiveAttrib(program, i).name;
    found.attributes[name] = gl.getAttribLocation(program, name);
  }
  return found;
}

// Bones as long octahedra and joints as small ones, each bound to one joint: drawn by the same shader as the body.
function skeletonMesh(body) {
  const positions = [], normals = [], joints = [], pieces = [];
  const triangle = (a, b, c, joint, piece) => {
    const n = unit(cross(sub(b, a), sub(c, a)));
    for (const p of [a, b, c]) {
      positions.push(...p); joints.push(joint, 0, 0, 0); pieces.push(piece);
      normals.push(...n.map((value) => Math.round(127 * value)));
    }
  };
  const octahedron = (from, to, ring, radius, joint, piece) => {
    const axis = unit(sub(to, from)), helper = Math.abs(axis[1]) < 0.9 ? [0, 1, 0] : [1, 0, 0];
    const u = unit(cross(axis, helper)), v = cross(axis, u), corners = [];
    for (let k = 0; k < 6; k++) {
      const angle = k * Math.PI / 3;
      corners.push(add(ring, add(scale(u, radius * Math.cos(angle)), scale(v, radius * Math.sin(angle)))));
    }
    for (let k = 0; k < 6; k++) {
      triangle(from, corners[(k + 1) % 6], corners[k], joint, piece);
      triangle(to, corners[k], corners[(k + 1) % 6], joint, piece);
    }
  };
  body.rest.forEach((place, j) => {
    const piece = sideOf(body.names[j]), p = body.parents[j];
    octahedron(add(place, [0, -0.028, 0]), add(place, [0, 0.028, 0]), place, 0.028, j, piece);
    if (p >= 0) {
      const from = body.rest[p], length = norm(sub(place, from));
      octahedron(from, place, add(from, scale(sub(place, from), 0.22)), clamp(length * 0.11, 0.012, 0.035), p, piece);
    }
  });
  const count = positions.length / 3;
  const weights = new Uint8Array(4 * count);
  for (let i = 0; i < count; i++) weights[4 * i] = 255;
  return {
    positions: Float32Array.from(positions), normals: Int8Array.from(normals), joints: Uint8Array.from(joints), weights,
    pieces: Uint8Array.from(pieces), faces: Uint16Array.from({ length: count }, (_, i) => i),
  };
}

// Place in the skeleton's palette: left, right, trunk.
const sideOf = (name) => name.startsWith("left") ? 0 : name.startsWith("right") ? 1 : 2;

class GLView {
  constructor(canvas, body) {
    const options = { antialias: true, stencil: true, alpha: true, premultipliedAlpha: true };
    const gl = this.gl = canvas.getContext("webgl2", options) || canvas.getContext("webgl", options);
    if (!gl) throw new Error("no WebGL");
    this.canvas = canvas; this.name = "webgl";
    this.skin = compile(gl, SKIN, LIT); this.flat = compile(gl, FLAT_VERTEX, FLAT_FRAGMENT);
    this.meshes = { body: this.upload(body), bones: this.upload(skeletonMesh(body)) };
    this.floor = gl.createBuffer(); this.grid = gl.createBuffer(); this.gridCount = 0;
    gl.enable(gl.DEPTH_TEST);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  }

  upload(mesh) {
    const gl = this.gl, buffers = { count: mesh.faces.length };
    for (const key of ["positions", "normals", "joints", "weights", "pieces"]) {
      // Three bytes become four: attributes lie on multiples of four bytes.
      let values = mesh[key];
      if (key === "normals") {
        const padded = new Int8Array(values.length / 3 * 4);
        for (let i = 0; i < values.length; i++) padded[4 * Math.floor(i / 3) + i % 3] = values[i];
        values = padded;
      } else if (key === "pieces") values = Float32Array.from(values);
      buffers[key] = gl.createBuffer();
      gl.bindBuffer(gl.ARRAY_BUFFER, buffers[key]); gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
    }
    buffers.faces = gl.createBuffer();
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, buffers.faces);
    gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, mesh.faces, gl.STATIC_DRAW);
    return buffers;
  }

  // Grid of half metres under a box.
  setBox(box) {
    const gl = this.gl, center = scale(add(box.low, box.high), 0.5), lines = [];
    this.reach = Math.max(box.high[0] - box.low[0], box.high[2] - box.low[2]) / 2 + 5;
    this.middle = [Math.round(center[0]), 0, Math.round(center[2])];
    const [x, , z] = this.middle, count = Math.ceil(this.reach * 2);
    for (let k = -count; k <= count; k++) {
      const at = k / 2;
      lines.push(x + at, 0.001, z - count / 2, x + at, 0.001, z + count / 2);
      lines.push(x - count / 2, 0.001, z + at, x + count / 2, 0.001, z + at);
    }
    gl.bindBuffer(gl.ARRAY_BUFFER, this.grid);
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array(lines), gl.STATIC_DRAW);
    this.gridCount = lines.length / 3;
    const r = this.reach;
    gl.bindBuffer(gl.ARRAY_BUFFER, this.floor);
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([x - r, 0, z - r, x + r, 0, z - r, x - r, 0, z + r, x + r, 0, z + r]), gl.STATIC_DRAW);
  }

  draw(motions, camera, mode, colors, width, height) {
    const gl = this.gl, aspect = width / height, matrix = camera.matrix(aspect);
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.clearColor(0, 0, 0, 0); gl.clearStencil(0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT | gl.STENCIL_BUFFER_BIT);
    this.drawFloor(matrix, colors);
    gl.useProgram(this.skin.program);
    const uniforms = this.skin.uniforms, mesh = this.meshes[mode];
    gl.uniformMatrix4fv(uniforms.camera, false, matrix);
    gl.uniform3fv(uniforms.eye, camera.eye); gl.uniform3fv(uniforms.light, LIGHT);
    gl.uniform1f(uniforms.ambient, colors.dark ? 0.42 : 0.55);
    this.bind(mesh);
    // Shadows: each point of the floor gets dark once, however many triangles lie over it.
    gl.enable(gl.BLEND); gl.enable(gl.STENCIL_TEST); gl.depthMask(false);
    gl.stencilFunc(gl.EQUAL, 0, 255); gl.stencilOp(gl.KEEP, gl.KEEP, gl.INCR);
    gl.uniform4f(uniforms.flatten, LIGHT[0] / LIGHT[1], 0, LIGHT[2] / LIGHT[1], 1);
    gl.uniform4f(uniforms.flatColor, 0.05, 0.08, 0.14, colors.dark ? 0.45 : 0.2);
    for (const motion of motions) this.drawMotion(motion, mesh, mode, colors);
    gl.disable(gl.BLEND); gl.disable(gl.STENCIL_TEST); gl.depthMask(true);
    gl.uniform4f(uniforms.flatten, 0, 0, 0, 0); gl.uniform4f(uniforms.flatColor, 0, 0, 0, 0);
    for (const motion of motions) this.drawMotion(motion, mesh, mode, colors);
    return matrix;
  }

  drawMotion(motion, mesh, mode, colors) {
    const gl = this.gl, palette = new Float32Array(24);
    (mode === "bones" ? colors.sides : motion.outfit).slice(0, 8).forEach((color, i) => palette.set(color, 3 * i));
    gl.uniform3fv(this.skin.uniforms.palette, palette);
    gl.uniform4fv(this.skin.uniforms.bones, motion.bones);
    gl.drawElements(gl.TRIANGLES, mesh.count, gl.UNSIGNED_SHORT, 0);
  }

  bind(mesh) {
    const gl = this.gl, places = this.skin.attributes;
    const layout = [["position", "positions", 3, gl.FLOAT, false, 0], ["normal", "normals", 3, gl.BYTE, true, 4], ["joints", "joints", 4, gl.UNSIGNED_BYTE, false, 0], ["weights", "weights", 4, gl.UNSIGNED_BYTE, true, 0], ["piece", "pieces", 1, gl.FLOAT, false, 0]];
    for (const [attribute, key, size, kind, normalised, stride] of layout) {
      if (places[attribute] === undefined) continue;
      gl.bindBuffer(gl.ARRAY_BUFFER, mesh[key]);
      gl.enableVertexAttribArray(places[attribute]);
      gl.vertexAttribPointer(places[attribute], size, kind, normalised, stride, 0);
    }
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, mesh.faces);
  }

  drawFloor(matrix, colors) {
    const gl = this.gl, { program, uniforms, attributes } = this.flat;
    gl.useProgram(program); gl.enable(gl.BLEND); gl.depthMask(false);
    for (let i = 0; i < 5; i++) gl.disableVertexAttribArray(i);
    gl.enableVertexAttribArray(attributes.position);
    gl.uniformMatrix4fv(uniforms.camera, false, matrix);
    gl.uniform4f(uniforms.spot, this.middle[0], 0, this.middle[2], this.reach);
    for (const [buffer, kind, count, color, strength] of [[this.floor, gl.TRIANGLE_STRIP, 4, colors.floor, 0.9], [this.grid, gl.LINES, this.gridCount, colors.grid, 0.75]]) {
      gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
      gl.vertexAttribPointer(attributes.position, 3, gl.FLOAT, false, 0, 0);
      gl.uniform4f(uniforms.paint, color[0], color[1], color[2], strength);
      gl.drawArrays(kind, 0, count);
    }
    gl.disable(gl.BLEND); gl.depthMask(true);
  }
}
