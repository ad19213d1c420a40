// A colour for each class, far from those of its neighbours and readable on dark and light.
export function colour(classId) {
  const hue = (classId * 137.508) % 360;
  return `hsl(${hue.toFixed(0)} 75% 45%)`;
}
