/* replaced below by the container of the extension */
(window._JUPYTERLAB = window._JUPYTERLAB || {})["jupyterlab-bdap"] = { init: () => undefined, get: () => Promise.resolve(() => ({ default: [] })) };
