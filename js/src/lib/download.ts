/** Offer a file to the reader; nothing leaves the page. */
export function download(name: string, content: Blob): void {
  const url = URL.createObjectURL(content);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // Some hosts read the address only after the click has returned.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
