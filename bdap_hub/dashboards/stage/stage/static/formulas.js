/* Formulas between dollars or brackets, drawn by MathJax, which is loaded when there is one. Loaded before live.js. */
(function () {
  "use strict";
  let mathjax = null;

  window.bdapTypeset = function (element, script) {
    if (!/\$|\\\(|\\\[/.test(element.textContent)) return undefined;
    if (!mathjax) {
      window.MathJax = {
        tex: { inlineMath: [["$", "$"], ["\\(", "\\)"]], displayMath: [["$$", "$$"], ["\\[", "\\]"]], processEscapes: true },
        startup: { typeset: false },
        options: { enableMenu: false },
      };
      mathjax = script("npm/mathjax/es5/tex-chtml.js").then(() => window.MathJax.startup.promise);
    }
    mathjax = mathjax.then(() => window.MathJax.typesetPromise([element])).catch((e) => console.error(e));
    return mathjax;
  };
})();
