// Frames with widgets: as high as what is in them, and in the page's theme. The other half is in _extensions/live_widgets.py.

const frames = () => [...document.querySelectorAll("iframe.live-widget")];

function tellTheme(frame) {
  const chosen = document.body.dataset.theme;
  const dark = chosen === "dark" || (chosen !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  const background = getComputedStyle(document.body).backgroundColor;
  frame.contentWindow?.postMessage({ xaiwidgets: "theme", shade: dark ? "dark" : "light", background }, "*");
}

addEventListener("message", ({ source, data }) => {
  const frame = frames().find((one) => one.contentWindow === source);
  if (!frame || !data?.xaiwidgets) return;
  if (data.xaiwidgets === "ready") tellTheme(frame);
  if (data.xaiwidgets === "height") frame.style.height = `${data.height}px`;
});

const tellAll = () => frames().forEach(tellTheme);
new MutationObserver(tellAll).observe(document.body, { attributes: true, attributeFilter: ["data-theme"] });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", tellAll);
tellAll(); // those that were ready before this script
