// The control API of the stand-in, for the drivers in JavaScript.

export const API = process.argv[2];
export const BASE = API.replace(/\/api$/, "");
export const BOT = "xoxb-standin";
export const APP = "xapp-1-standin";
export const GENERAL = "C0GENERAL1";
export const ALICE = "U0ALICE001";

export async function act(what, wish) {
  const answer = await fetch(`${BASE}/standin/${what}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(wish),
  });
  if (!answer.ok) throw new Error(`${what}: ${await answer.text()}`);
  return answer.json();
}

export async function look(what) {
  return (await fetch(`${BASE}/standin/${what}`)).json();
}

// Asks until there is something to see.
export async function until(what, see) {
  const end = Date.now() + 20_000;
  while (Date.now() < end) {
    const found = await see();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`waited in vain for ${what}`);
}

export function same(what, seen, expected) {
  const [a, b] = [JSON.stringify(seen), JSON.stringify(expected)];
  if (a !== b) throw new Error(`${what}: ${a} instead of ${b}`);
  console.log(`ok ${what}`);
}
