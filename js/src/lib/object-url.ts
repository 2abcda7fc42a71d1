// Bytes of a picture as an address for the style sheet; given back when they change or the view ends.

import { useEffect, useState } from "preact/hooks";
import { bytesOf } from "./transport";

export function useObjectUrl(data: unknown): string {
  const [url, setUrl] = useState("");
  useEffect(() => {
    const bytes = bytesOf(data);
    if (bytes.byteLength === 0) return;
    const made = URL.createObjectURL(new Blob([bytes]));
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [data]);
  return url;
}
