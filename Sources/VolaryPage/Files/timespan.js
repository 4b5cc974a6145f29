// For how long something is kept, as Incus and the command line write it: `3d 12H`.

const SECONDS = { M: 60, H: 3600, d: 86_400, w: 604_800, m: 2_592_000, y: 31_536_000 };
const MOST = 3_153_600_000;

// In seconds; undefined for what says no time.
export function seconds(text) {
  let sum = 0;
  for (const word of text.split(/\s+/).filter(Boolean)) {
    const match = /^(\d{1,10})([MHdwmy])$/.exec(word);
    if (!match) return undefined;
    sum += Number(match[1]) * SECONDS[match[2]];
  }
  return sum > 0 && sum <= MOST ? sum : undefined;
}

// The moment that is that far away, as the API has it; undefined where nothing is said.
export const fromNow = (text) => text ? new Date(Date.now() + 1000 * seconds(text)).toISOString() : undefined;
