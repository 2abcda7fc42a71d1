// Tokens as they are shown: whitespace can be seen, and nothing is empty.

const SIGNS: Readonly<Record<string, string>> = { " ": "␣", "\n": "⏎", "\r": "␍", "\t": "⇥", "\u00a0": "⍽" };

export function visible(surface: string): string {
  if (surface === "") return "∅";
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must be made visible
  return surface.replace(/[ \n\r\t\u00a0]/g, (sign) => SIGNS[sign] ?? sign).replace(/[\u0000-\u001f\u007f]/g, "␣");
}
