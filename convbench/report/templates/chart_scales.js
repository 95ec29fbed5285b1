// Numbers on axes and in words, as the rest of the report has them.
const UNITS = {
  seconds: [[1, "s"], [1e-3, "ms"], [1e-6, "µs"], [1e-9, "ns"]],
  bytes: [[2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"], [1, "B"]],
};

function plain(value, digits) {
  if (value === 0) return "0";
  const text = Number(value.toPrecision(digits));
  return Math.abs(text) < 1e-4 || Math.abs(text) >= 1e7 ? text.toExponential() : String(text);
}

function inUnit(value, unit, digits) {
  if (unit === "share") return `${plain(value * 100, digits)} %`;
  if (unit === "factor") return `${plain(value, digits)}×`;
  const steps = UNITS[unit];
  if (!steps) return plain(value, digits);
  const [size, name] = steps.find(([size]) => Math.abs(value) >= size * 0.9995) ?? steps[steps.length - 1];
  return `${plain(value / size, digits)} ${name}`;
}

function logTicks(low, high, base) {
  const exponents = [];
  for (let e = Math.floor(Math.log(low) / Math.log(base)); base ** e <= high * 1.0001; e++) exponents.push(e);
  const inside = (steps) =>
    exponents.flatMap((e) => steps.map((step) => step * base ** e)).filter((t) => t >= low * 0.9999 && t <= high * 1.0001);
  let ticks = inside([1]);
  if (ticks.length < 3) ticks = inside(base === 10 ? [1, 2, 5] : [1, 2]);
  if (ticks.length < 2) return linearTicks(low, high);
  const every = Math.ceil(ticks.length / 8);
  return ticks.filter((_, index) => index % every === 0);
}

function linearTicks(low, high) {
  const rough = (high - low) / 5 || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= rough * 0.999);
  const ticks = [];
  for (let t = Math.ceil(low / step - 1e-9) * step; t <= high + step * 1e-9; t += step) ticks.push(Math.abs(t) < step / 1e6 ? 0 : t);
  return ticks;
}

// From values to pixels `start` … `end`; `values` decide the range, with a little room at both ends.
function makeScale(values, { log, start, end, base = 10, fromZero = false, tight = false }) {
  let [low, high] = [Math.min(...values), Math.max(...values)];
  const usable = log && low > 0;
  if (usable) {
    const room = tight ? 1 : (high / low) ** 0.05 || 1;
    [low, high] = low === high ? [low / 2, high * 2] : [low / room, high * room];
  } else {
    if (fromZero) low = Math.min(low, 0);
    const room = tight ? 0 : (high - low) * 0.05 || Math.abs(high) || 1;
    [low, high] = [fromZero && low === 0 ? 0 : low - room, high + room];
  }
  const forth = usable ? Math.log : Number;
  const at = (value) => start + ((forth(value) - forth(low)) / (forth(high) - forth(low))) * (end - start);
  return { at, low, high, log: usable, ticks: usable ? logTicks(low, high, base) : linearTicks(low, high) };
}

// Positions as near to the wanted ones as a least gap allows, within low … high.
function pushedApart(wanted, gap, low, high) {
  const clusters = [];
  for (const index of wanted.map((_, i) => i).sort((a, b) => wanted[a] - wanted[b])) {
    let members = [index], center = wanted[index];
    while (clusters.length) {
      const before = clusters[clusters.length - 1];
      if (center - before.center >= (gap * (members.length + before.members.length)) / 2) break;
      clusters.pop();
      center = (before.center * before.members.length + center * members.length) / (before.members.length + members.length);
      members = [...before.members, ...members];
    }
    const half = (gap * (members.length - 1)) / 2;
    clusters.push({ members, center: Math.min(Math.max(center, low + half), Math.max(high - half, low + half)) });
  }
  const placed = [];
  for (const { members, center } of clusters) {
    members.forEach((member, rank) => { placed[member] = center + gap * (rank - (members.length - 1) / 2); });
  }
  return placed;
}
