// A colour for each class, far from those of its neighbours and readable on dark and light.
export function colour(classId) {
  const hue = (classId * 137.508) % 360;
  return `hsl(${hue.toFixed(0)} 75% 45%)`;
}

// One of 24 that nobody takes for another: eight hues, then darker ones, then lighter ones.
export function distinctColour(number) {
  const lightness = [45, 28, 65][Math.floor(number / 8) % 3];
  return `hsl(${(number % 8) * 135 + 210} 75% ${lightness}%)`;
}
