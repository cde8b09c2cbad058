/* What is seen first, before scripts and style sheets take the browser's time. Loaded before live.js. */
(function () {
  "use strict";

  const SOON = 300, PATIENCE = 3000; // ms

  /* Once what is there already has been painted; soon in any case: in a frame that nobody sees nothing ever is. */
  function painted() {
    return new Promise((resolve) => {
      setTimeout(resolve, document.hidden ? 0 : SOON);
      requestAnimationFrame(() => setTimeout(resolve, 0));
    });
  }

  /* A kept page has the rules that draw it at first in itself, and waits for no style sheet: now they count. One that
     does not come, or takes too long, holds nothing up. */
  function dressed() {
    return Promise.all(Array.from(document.querySelectorAll("link[data-media]"), (link) => new Promise((resolve) => {
      const wear = () => {
        link.media = link.dataset.media;
        resolve();
      };
      if (link.sheet) return wear();
      ["load", "error"].forEach((name) => link.addEventListener(name, wear, { once: true }));
      setTimeout(wear, PATIENCE);
      return undefined;
    })));
  }

  /* A script that is fetched, and not executed yet. */
  function fetched(address) {
    return new Promise((resolve) => {
      const link = document.createElement("link");
      Object.assign(link, { rel: "preload", as: "script", href: address, onload: resolve, onerror: resolve });
      document.head.append(link);
    });
  }

  window.bdapFirst = { painted, dressed, fetched };
})();
