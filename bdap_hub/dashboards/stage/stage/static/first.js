/* What is seen first, before scripts and style sheets take the browser's time. Loaded before live.js. */
(function () {
  "use strict";

  /* Once what is there already has been painted. */
  function painted() {
    if (document.hidden) return Promise.resolve(); // nothing is painted then
    return new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 0)));
  }

  /* A kept page has the rules that draw it at first in itself, and waits for no style sheet: now they come. */
  function dressed() {
    return Promise.all(Array.from(document.querySelectorAll("link[data-media]"), (link) => new Promise((resolve) => {
      const wear = () => {
        link.media = link.dataset.media;
        resolve();
      };
      if (link.sheet) return wear();
      link.addEventListener("load", wear, { once: true });
      link.addEventListener("error", resolve, { once: true });
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
