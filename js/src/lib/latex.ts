// Text for LaTeX: whatever it holds is set as it stands, and runs nothing.

const SIGNS: Readonly<Record<string, string>> = {
  "\\": "\\textbackslash{}",
  "{": "\\{",
  "}": "\\}",
  $: "\\$",
  "&": "\\&",
  "#": "\\#",
  "%": "\\%",
  _: "\\_",
  "^": "\\textasciicircum{}",
  "~": "\\textasciitilde{}",
  "<": "\\textless{}",
  ">": "\\textgreater{}",
  "|": "\\textbar{}",
  '"': "{''}",
  "`": "\\textasciigrave{}",
  // two of these would be joined into another sign
  "-": "{-}",
  "'": "{'}",
  // behind the end of a row these two would be read as its options
  "[": "{[}",
  "*": "{*}",
  "␣": "\\textvisiblespace{}",
  "⏎": "\\textbackslash{}n",
  "␍": "\\textbackslash{}r",
  "⇥": "\\textbackslash{}t",
  "⍽": "\\textasciitilde{}",
  "∅": "$\\emptyset$",
  "⟨": "$\\langle$",
  "⟩": "$\\rangle$",
  "−": "$-$",
  "→": "$\\to$",
  "≈": "$\\approx$",
  "∞": "$\\infty$",
};

/** One line; write text through `visible` first where its whitespace counts. */
export function latexText(text: string): string {
  // "^^M" is read as a sign before anything else: "^" is always replaced
  return text.replace(/\s+/gu, " ").replace(/[\\{}$&#%_^~<>|"`\-'[*␣⏎␍⇥⍽∅⟨⟩−→≈∞]/gu, (sign) => SIGNS[sign] ?? sign);
}

/** A number in mathematics, so that its minus is one; empty cells for what is no number. */
export function latexNumber(value: number, digits = 3): string {
  if (!Number.isFinite(value)) return "--";
  const [mantissa = "", exponent] = value.toPrecision(digits).split("e");
  return exponent === undefined ? `$${mantissa}$` : `$${mantissa}\\cdot 10^{${Number(exponent)}}$`;
}
