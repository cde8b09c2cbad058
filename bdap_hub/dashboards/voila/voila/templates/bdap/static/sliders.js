/*
 * Gives the sliders of ipywidgets what people with a screen reader need and the widgets leave out: the name, which stands
 * beside them, and what they stand at, as it is written (a date, not its number).
 */
(() => {
  "use strict";

  function text(slider, kind) {
    const found = slider.closest(".jupyter-widgets")?.querySelector(kind);
    return found ? found.textContent.trim() : "";
  }

  function put(handle, name, value) {
    if (value && handle.getAttribute(name) !== value) handle.setAttribute(name, value);
  }

  function name(slider) {
    const handles = [...slider.querySelectorAll(".noUi-handle")];
    const label = text(slider, ".widget-label") || slider.closest(".jupyter-widgets")?.title || "Slider";
    const said = text(slider, ".widget-readout");
    for (const [number, handle] of handles.entries()) {
      put(handle, "aria-label", handles.length > 1 ? `${label}, ${number ? "to" : "from"}` : label);
      if (handles.length === 1) put(handle, "aria-valuetext", said);
    }
  }

  let waiting = false;
  function later() {
    if (waiting) return;
    waiting = true;
    setTimeout(() => {
      waiting = false;
      document.querySelectorAll(".noUi-target").forEach(name);
    }, 100);
  }

  new MutationObserver(later).observe(document.documentElement, { childList: true, subtree: true, characterData: true });
  later();
})();
