// Exchanges a share link's secret for a cookie, then opens the dashboard. The secret leaves the address at once.
const secret = location.hash.slice(1);
history.replaceState(null, "", location.pathname);
const told = document.querySelector('[role="status"]');
const failed = "This link does not open the dashboard any more, or it was not copied whole. Ask who gave it to you for another.";

fetch(location.pathname, { method: "POST", body: secret, headers: { Accept: "application/json" } })
  .then((answer) => {
    if (answer.ok) location.replace("/");
    else told.textContent = failed;
  })
  .catch(() => { told.textContent = "The platform does not answer. Open the link again in a minute."; });
