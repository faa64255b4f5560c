// What the page keeps in the browser: the token until the tab is closed, the theme for good. Where the browser keeps
// nothing, the page works all the same, and forgets.

const TOKEN = "ai-mesh-token";
const THEME = "ai-mesh-theme";

export type Theme = "light" | "dark";

/** The API's own pages at /docs look here for it too. */
export function token(): string | null {
  return read(() => window.sessionStorage.getItem(TOKEN));
}

export function keepToken(token: string): void {
  read(() => window.sessionStorage.setItem(TOKEN, token));
}

export function forgetToken(): void {
  read(() => window.sessionStorage.removeItem(TOKEN));
}

/** What was chosen, else what the system prefers. */
export function theme(): Theme {
  const kept = read(() => window.localStorage.getItem(THEME));
  if (kept === "light" || kept === "dark") return kept;
  return window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

export function setTheme(theme: Theme): void {
  document.documentElement.dataset["theme"] = theme;
  read(() => window.localStorage.setItem(THEME, theme));
}

function read<T>(from: () => T): T | null {
  try {
    return from();
  } catch {
    return null;
  }
}
