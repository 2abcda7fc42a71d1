// Tokens as they are shown: whitespace can be seen, and nothing is empty.

const SIGNS: Readonly<Record<string, string>> = { " ": "␣", "\n": "⏎", "\r": "␍", "\t": "⇥", "\u00a0": "⍽" };

/** Marks that turn the direction of what follows or take no room: a reader must know that they are there. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must be made visible
const UNSEEN = /[\u0000-\u001f\u007f\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]/g;

export function visible(surface: string): string {
  if (surface === "") return "∅";
  return surface
    .replace(/[ \n\r\t\u00a0]/g, (sign) => SIGNS[sign] ?? sign)
    .replace(UNSEEN, (sign) => `⟨${sign.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);
}

/** Words as they are read: a space among them is one, at their ends it is left out; all other marks show. */
export function readable(text: string): string {
  const inner = text.trim();
  return inner === "" ? visible(text) : inner.replace(/[^ ]+/g, visible);
}
