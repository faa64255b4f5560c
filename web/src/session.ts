// What the page stores in the browser: the token until the tab is closed, the theme without a time limit. Where the
// browser allows no storage, the page works without it.

const TOKEN = "ai-mesh-token";
const THEME = "ai-mesh-theme";

export type Theme = "light" | "dark";

/** The stored token. The API's own pages at /docs read the same key. */
export function token(): string | null {
  return attempt(() => window.sessionStorage.getItem(TOKEN));
}

export function storeToken(token: string): void {
  attempt(() => window.sessionStorage.setItem(TOKEN, token));
}

export function forgetToken(): void {
  attempt(() => window.sessionStorage.removeItem(TOKEN));
}

/** The theme that the user chose; null means that the page follows the system's theme. */
export function theme(): Theme | null {
  const stored = attempt(() => window.localStorage.getItem(THEME));
  return stored === "light" || stored === "dark" ? stored : null;
}

export function storeTheme(theme: Theme): void {
  attempt(() => window.localStorage.setItem(THEME, theme));
}

function attempt<T>(access: () => T): T | null {
  try {
    return access();
  } catch {
    return null;
  }
}
