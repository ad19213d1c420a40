// Curves as SVG, with a legend by colour and a label for those who cannot see it.
const SPACE = 'http://www.w3.org/2000/svg';
const WIDTH = 360, HEIGHT = 220, LEFT = 44, RIGHT = 10, TOP = 24, BOTTOM = 28;

function svg(tag, attributes, text) {
  const made = document.createElementNS(SPACE, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

// A step of 1, 2 or 5 times a power of ten, so that about four fit.
function niceStep(range) {
  const rough = range / 4, power = 10 ** Math.floor(Math.log10(rough)), share = rough / power;
  return power * (share < 1.5 ? 1 : share < 3.5 ? 2 : share < 7.5 ? 5 : 10);
}

function ticks(low, high) {
  const step = niceStep(high - low), found = [];
  for (let value = Math.ceil(low / step) * step; value <= high + step * 1e-6; value += step) found.push(value);
  return found.map((value) => Number(value.toPrecision(6)));
}

// curves: [{label, colour, dashed, points: [[x, y]...]}], of finite numbers
export function chart(title, curves) {
  const points = curves.flatMap((curve) => curve.points);
  const root = svg('svg', {viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': spoken(title, curves)});
  root.append(svg('text', {x: LEFT, y: 14, 'font-weight': 600}, title));
  if (points.length === 0) return root;
  const xs = points.map(([x]) => x), ys = points.map(([, y]) => y);
  const x0 = Math.min(...xs), x1 = Math.max(...xs, x0 + 1);
  let y0 = Math.min(...ys), y1 = Math.max(...ys);
  if (y1 - y0 < 1e-9) [y0, y1] = [y0 - 0.5, y1 + 0.5];
  const x = (value) => LEFT + (value - x0) / (x1 - x0) * (WIDTH - LEFT - RIGHT);
  const y = (value) => HEIGHT - BOTTOM - (value - y0) / (y1 - y0) * (HEIGHT - TOP - BOTTOM);
  for (const value of ticks(y0, y1)) {
    root.append(svg('path', {class: 'axis', d: `M${LEFT} ${y(value)}H${WIDTH - RIGHT}`}));
    root.append(svg('text', {x: LEFT - 4, y: y(value) + 4, 'text-anchor': 'end'}, String(value)));
  }
  for (const value of ticks(x0, x1).filter(Number.isInteger))
    root.append(svg('text', {x: x(value), y: HEIGHT - 10, 'text-anchor': 'middle'}, String(value)));
  for (const curve of curves) {
    const path = curve.points.map(([a, b], i) => `${i ? 'L' : 'M'}${x(a).toFixed(1)} ${y(b).toFixed(1)}`).join('');
    const line = svg('path', {class: 'curve', d: path, stroke: curve.colour});
    if (curve.dashed) line.setAttribute('stroke-dasharray', '4 3');
    line.append(svg('title', {}, curve.label));
    root.append(line);
    // A line of one point is none.
    if (curve.points.length === 1)
      root.append(svg('circle', {cx: x(curve.points[0][0]), cy: y(curve.points[0][1]), r: 3, fill: curve.colour}));
  }
  return root;
}

function spoken(title, curves) {
  const ends = curves.filter((curve) => curve.points.length).map((curve) => {
    const last = curve.points.at(-1);
    return `${curve.label}: ${Number(last[1].toPrecision(4))} at epoch ${last[0]}`;
  });
  return `${title}. ${ends.join('; ')}`;
}
