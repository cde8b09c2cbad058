// The stand-in's two pages: plain forms that a test's browser fills in.
const page = (title, body) => `<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>${title}</title></head>
<body><h1>${title}</h1><p>Test stand-in for EU Login.</p>${body}</body></html>`;

const FACTORS = [
  ['pwd', 'Password only'],
  ['pwd otp', 'Password and authenticator app'],
  ['pwd sms', 'Password and text message'],
  ['pwd hwk', 'Password and security key'],
];

export const login = (action, problem) => page('Sign in', `${problem ? `<p role="alert">${problem}</p>` : ''}
<form method="post" action="${action}">
<p><label>Account name <input name="login" autocomplete="username"></label></p>
<p><label>Password <input name="password" type="password"></label></p>
${FACTORS.map(([value, label], n) => `<p><label><input type="radio" name="factors" value="${value}"${n === 1 ? ' checked' : ''}> ${label}</label></p>`).join('\n')}
<button>Sign in</button></form>`);

export const logout = (form) => page('Log out here too?', `${form}
<button form="op.logoutForm" name="logout" value="yes">Log out</button>
<button form="op.logoutForm">Stay</button>`);
