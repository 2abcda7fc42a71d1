/** A text as one cell of a table. */
export function quoted(text: string): string {
  // A leading sign of a formula would be run by spreadsheets.
  const safe = /^[=@\t\r]/.test(text) ? `'${text}` : text;
  return `"${safe.replace(/"/g, '""')}"`;
}
