/** A text as one cell of a table. */
export function quoted(text: string): string {
  // What begins like a formula would be run by spreadsheets; a sign alone is none.
  const safe = /^[=@\t\r]|^[+-]./s.test(text) ? `'${text}` : text;
  return `"${safe.replace(/"/g, '""')}"`;
}
